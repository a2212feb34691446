"""The rows of a request: checked, ordered and made an array, or refused with the row and the channel at fault."""

import json
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from container_component_src.arrays import Float32Array
from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.timestamps import timestamps_of
from container_component_src.telemetry.scaler import Scaler

_NUMBERS = {int, float}  # the types that JSON numbers become; bool is another one
_V1_KEYS = ("instances", "timestamps", "signature_name")  # the last one is TensorFlow Serving's, and means nothing here

_HALF_OF_LARGEST = float(np.finfo(np.float32).max) / 2

Floats = npt.NDArray[np.float64]


class RequestError(Exception):
    """The request is at fault; its text names row and channel, rows counted from 0."""


@dataclass(frozen=True)
class Rows:
    """Ordered rows of a request, in the units in which they were sent."""

    values: Floats | Float32Array  # shape [rows, channels]
    timestamps: npt.NDArray[np.int64] | None = None  # nanoseconds since 1970 UTC, ascending, shape [rows]


class _Pairs(dict[str, Any]):
    """A JSON object that knows whether a name stood in it twice."""

    duplicate: str | None = None


def rows_of_json(body: bytes, channels: Sequence[str], ignored: AbstractSet[str] = frozenset()) -> Rows:
    """The rows of a V1 request.

    Args:
        body: JSON `{"instances": [row, ...]}`, with `"timestamps": [time, ...]` if they are known.
        channels: As in `values_of`.
        ignored: As in `values_of`.

    Raises:
        RequestError: The body is not such JSON, or a row or a timestamp of it is at fault.
    """
    content = json_of(body)
    instances = instances_of(content)
    unknown = sorted(content.keys() - set(_V1_KEYS))
    if unknown:
        raise RequestError(f"the request has an unknown key {unknown[0]!r}; send {' and '.join(_V1_KEYS[:2])} only")
    if _may_hold_duplicates(body, content, instances):
        instances = _without_duplicates(body)["instances"]
    values = values_of(instances, channels, ignored)
    times = content.get("timestamps")
    if times is None:
        return Rows(values)
    if not isinstance(times, list):
        raise RequestError(f'"timestamps" is {kind(times)}; send a list with one per row')
    return Rows(values, timestamps(times, len(values)))


def json_of(body: bytes) -> dict[str, Any]:
    """The JSON object that a request is.

    Raises:
        RequestError: The body is no JSON, or no object.
    """
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(f"the request is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise RequestError('the request is no JSON object; send {"instances": [row, ...]}')
    return content


def instances_of(content: dict[str, Any]) -> list[object]:
    """The rows of a V1 request as they are in its JSON.

    Raises:
        RequestError: There is no list `instances` of at least one row.
    """
    if "instances" not in content:
        raise RequestError('the request has no key "instances"; send {"instances": [row, ...]}')
    instances = content["instances"]
    if not isinstance(instances, list):
        raise RequestError(f'"instances" is {kind(instances)}; send a list of rows')
    if not instances:
        raise RequestError('"instances" is empty; send at least one row')
    return instances


def values_of(rows: Sequence[object], channels: Sequence[str], ignored: AbstractSet[str] = frozenset()) -> Floats:
    """Order rows by channel.

    Args:
        rows: Each an object `{channel: number}`, or a list of numbers in the order of `channels`.
        channels: The names that every row has to give, in the order of the columns of the result.
        ignored: Further names that objects may hold; their values are not looked at.

    Returns:
        Array of shape [rows, channels].

    Raises:
        RequestError: A row lacks a channel, names an unknown one, has another length, or a value is no number.
    """
    known = set(channels) | ignored
    ordered = [_ordered(index, row, channels, known) for index, row in enumerate(rows)]
    # One pass in C over all values; which of them is at fault is looked up only when one is.
    if not _NUMBERS.issuperset(map(type, chain.from_iterable(ordered))):
        place, value = _first(ordered, channels, lambda value: type(value) not in _NUMBERS)
        raise RequestError(f"{place}: {kind(value)}; send a finite number")
    try:
        return np.array(ordered, dtype=np.float64)
    except OverflowError as error:  # integers have no limit in JSON
        place, _ = _first(ordered, channels, lambda value: isinstance(value, int) and abs(value) > sys.float_info.max)
        raise RequestError(f"{place}: an integer too large for a float; send a plausible value") from error


def timestamps(times: Sequence[object], rows: int) -> npt.NDArray[np.int64]:
    """Timestamps of a request.

    Args:
        times: ISO 8601 texts (UTC unless they say otherwise), or integers of nanoseconds since 1970 UTC.
        rows: How many there have to be.

    Raises:
        RequestError: Their number differs, or one is no time or not after the one before it.
    """
    if len(times) != rows:
        raise RequestError(f"{len(times)} timestamps for {rows} rows; send one per row, or none")
    try:
        return timestamps_of(times)
    except ValueError as error:
        raise RequestError(str(error)) from error


def scaled(values: Floats | Float32Array, channels: Sequence[str], scaler: Scaler | None) -> Float32Array:
    """Scale checked rows as the training data were.

    Args:
        values: Shape [rows, channels].
        channels: Their names: those of the scaler.
        scaler: None where values are to stay as they are.

    Raises:
        RequestError: A value is not finite, or overflows 32-bit floats when scaled.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = np.require(values, np.float32, ("ALIGNED", "WRITEABLE"))  # as PyTorch wants them
        safe = _safe_magnitude(scaler)
        if not (narrow.max(initial=0.0) < safe and narrow.min(initial=0.0) > -safe):  # also where there is a NaN
            # The scaler takes what is not finite for missing and puts the centre there, which would hide the fault.
            fits = np.isfinite(narrow)
            if scaler is not None:
                centre, scale = np.asarray(scaler.centre, np.float32), np.asarray(scaler.scale, np.float32)
                fits &= np.isfinite((narrow - centre) / scale)
            if not fits.all():
                refuse_value(values, ~fits, channels)
    return scaler.transform(narrow) if scaler else narrow


def refuse_value(values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], channels: Sequence[str]) -> NoReturn:
    """Refuse the first value, of shape [rows, channels] both, where the mask is true.

    Raises:
        RequestError: Always.
    """
    row, column = np.argwhere(mask)[0]
    place = f"row {row}, channel '{channels[column]}'"
    raise RequestError(
        f"{place}: {values[row, column]:g} is not finite, or too large for 32-bit floats; send a plausible value"
    )


@lru_cache(maxsize=8)
def _safe_magnitude(scaler: Scaler | None) -> float:
    """Values below it stay finite whatever their channel."""
    if scaler is None:
        return _HALF_OF_LARGEST
    return min(1.0, *scaler.scale) * _HALF_OF_LARGEST - max(map(abs, scaler.centre))


def kind(value: object) -> str:
    """What a JSON value is, for a message."""
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _may_hold_duplicates(body: bytes, content: dict[str, Any], instances: list[object]) -> bool:
    """Whether some name may stand twice in an object; of such names the parser has kept the last one.

    Each pair of name and value has a colon, and so may have texts: as many colons as pairs exclude duplicates.
    """
    pairs = len(content) + sum(len(row) for row in instances if isinstance(row, dict))
    return body.count(b":") != pairs


def _without_duplicates(body: bytes) -> dict[str, Any]:
    """Parse once more, slowly.

    Raises:
        RequestError: A name stands twice, in the request or in a row of it.
    """

    def pairs(found: list[tuple[str, Any]]) -> _Pairs:
        row = _Pairs(found)
        if len(row) != len(found):
            row.duplicate = first_repeated(name for name, _ in found)
        return row

    try:
        content: _Pairs = json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the request is not JSON ({error})") from error
    if content.duplicate is not None:
        raise RequestError(f"the request has the key {content.duplicate!r} twice; send it once")
    for index, row in enumerate(content["instances"]):
        if isinstance(row, _Pairs) and row.duplicate is not None:
            raise RequestError(f"row {index}, channel '{row.duplicate}': given twice; send it once")
    return content


def _ordered(index: int, row: object, channels: Sequence[str], known: AbstractSet[str]) -> list[object]:
    if isinstance(row, list):
        if len(row) != len(channels):
            raise RequestError(
                f"row {index}: {len(row)} values for {len(channels)} channels ('{channels[0]}' to '{channels[-1]}'); "
                "send one value per channel, in the order of the model"
            )
        return row
    if not isinstance(row, dict):
        raise RequestError(f"row {index}: {kind(row)}; send an object of named channels, or a list of numbers")
    try:
        values = [row[name] for name in channels]
    except KeyError as error:
        raise RequestError(
            f"row {index}, channel '{error.args[0]}': missing; send every channel of the model"
        ) from error
    if len(row) > len(channels):
        unknown = row.keys() - known
        if unknown:
            raise RequestError(f"row {index}, channel '{min(unknown)}': unknown to the model; leave it out")
    return values


def _first(
    ordered: list[list[object]], channels: Sequence[str], at_fault: Callable[[object], bool]
) -> tuple[str, object]:
    """Place and value of the first value at fault."""
    return next(
        (f"row {index}, channel '{channels[column]}'", value)
        for index, row in enumerate(ordered)
        for column, value in enumerate(row)
        if at_fault(value)
    )
