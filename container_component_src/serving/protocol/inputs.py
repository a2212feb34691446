"""The rows of a request: checked, put into the order of the model's channels and made an array."""

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

from container_component_src.arrays import BoolArray, Float32Array, Float64Array, Timestamps
from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.timestamps import timestamps_of
from container_component_src.telemetry.scaler import Scaler

_NUMBERS = {int, float}  # the types of JSON numbers in Python; bool is another type
_V1_KEYS = ("instances", "timestamps", "signature_name")  # the last is of TensorFlow Serving and has no effect here

_HALF_OF_LARGEST = float(np.finfo(np.float32).max) / 2


@dataclass(frozen=True)
class Rows:
    """Rows of a request, in the units in which they were sent."""

    values: Float64Array | Float32Array  # shape [rows, channels], in the order of the model's channels
    timestamps: Timestamps | None = None  # ascending, shape [rows]


class _Pairs(dict[str, Any]):
    """A JSON object that knows whether it had a name twice."""

    duplicate: str | None = None


def rows_of_json(body: bytes, channels: Sequence[str], ignored: AbstractSet[str] = frozenset()) -> Rows:
    """Return the rows of a V1 request.

    Args:
        body: JSON `{"instances": [row, ...]}`, with `"timestamps": [time, ...]` if they are known.
        channels: Names that every row must have, in the order of the result's columns.
        ignored: Further names that a row may have.

    Raises:
        RequestError: The body is not such JSON, or a row or a timestamp is invalid.
    """
    content = json_of(body)
    instances = instances_of(content)
    unknown = sorted(content.keys() - set(_V1_KEYS))
    if unknown:
        raise RequestError(
            f"the request has an unknown key {unknown[0]!r}", fix=f"send {' and '.join(_V1_KEYS[:2])} only"
        )
    if _may_hold_duplicates(body, content, instances):
        instances = _without_duplicates(body)["instances"]
    values = values_of(instances, channels, ignored)
    times = content.get("timestamps")
    if times is None:
        return Rows(values)
    if not isinstance(times, list):
        raise RequestError(f'"timestamps" is {json_type(times)}', fix="send a list with one per row")
    return Rows(values, timestamps(times, len(values)))


def json_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: The body is not JSON or not an object.
    """
    try:
        content = from_json(body)
    except ValueError as error:
        raise _not_json(error) from error
    if not isinstance(content, dict):
        raise RequestError("the request is not a JSON object", fix='send {"instances": [row, ...]}')
    return content


def instances_of(content: dict[str, Any]) -> list[object]:
    """Return the rows of a V1 request as they are in its JSON.

    Raises:
        RequestError: `instances` is missing, empty or not a list.
    """
    if "instances" not in content:
        raise RequestError('the request has no key "instances"', fix='send {"instances": [row, ...]}')
    instances = content["instances"]
    if not isinstance(instances, list):
        raise RequestError(f'"instances" is {json_type(instances)}', fix="send a list of rows")
    if not instances:
        raise RequestError('"instances" is empty', fix="send at least one row")
    return instances


def values_of(rows: Sequence[object], channels: Sequence[str], ignored: AbstractSet[str] = frozenset()) -> Float64Array:
    """Return rows as an array with one column per channel.

    Args:
        rows: Each an object `{channel: number}`, or a list of numbers in the order of `channels`.
        channels: Names that every row must have, in the order of the result's columns.
        ignored: Further names that objects may have; their values are not checked.

    Returns:
        Array of shape [rows, channels].

    Raises:
        RequestError: A row lacks a channel, has an unknown one or another length, or a value is not a number.
    """
    known = set(channels) | ignored
    ordered = [_ordered(index, row, channels, known) for index, row in enumerate(rows)]
    # One pass in C over all values; the place of an invalid value is searched only if there is one.
    if not _NUMBERS.issuperset(map(type, chain.from_iterable(ordered))):
        place, value = _first(ordered, channels, lambda value: type(value) not in _NUMBERS)
        raise RequestError(f"{place}: {json_type(value)}", fix="send a finite number")
    try:
        return np.array(ordered, dtype=np.float64)
    except OverflowError as error:  # integers have no limit in JSON
        place, _ = _first(ordered, channels, lambda value: isinstance(value, int) and abs(value) > sys.float_info.max)
        raise RequestError(f"{place}: an integer too large for a float", fix="send a plausible value") from error


def timestamps(times: Sequence[object], rows: int) -> Timestamps:
    """Return the timestamps of a request, shape [rows].

    Args:
        times: ISO 8601 texts (in UTC unless they name another zone), or integers of nanoseconds since 1970-01-01 UTC.
        rows: Number of rows of the request.

    Raises:
        RequestError: Their number differs from `rows`, or one is not a timestamp or not later than the one before it.
    """
    if len(times) != rows:
        raise RequestError(f"{len(times)} timestamps for {rows} rows", fix="send one per row, or none")
    return timestamps_of(times)


def scaled(values: Float64Array | Float32Array, channels: Sequence[str], scaler: Scaler | None) -> Float32Array:
    """Return values scaled as the training data, shape [rows, channels].

    Args:
        values: Shape [rows, channels].
        channels: Names of the columns, which are the channels of the scaler.
        scaler: None if the values are already scaled.

    Raises:
        RequestError: A value is not finite, or overflows 32-bit floats when it is scaled.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = np.require(values, np.float32, ("ALIGNED", "WRITEABLE"))  # as PyTorch requires
        safe = _safe_magnitude(scaler)
        if not (narrow.max(initial=0.0) < safe and narrow.min(initial=0.0) > -safe):  # also true if there is a NaN
            # The scaler would replace values that are not finite by the centre and hide the error.
            fits = np.isfinite(narrow)
            if scaler is not None:
                centre, scale = np.asarray(scaler.centre, np.float32), np.asarray(scaler.scale, np.float32)
                fits &= np.isfinite((narrow - centre) / scale)
            if not fits.all():
                refuse_value(values, ~fits, channels)
    return scaler.transform(narrow) if scaler else narrow


def refuse_value(values: npt.NDArray[np.floating], mask: BoolArray, channels: Sequence[str]) -> NoReturn:
    """Refuse the first value for which the mask is true; both have the shape [rows, channels].

    Raises:
        RequestError: Always.
    """
    row, column = np.argwhere(mask)[0]
    raise RequestError(
        f"row {row}, channel '{channels[column]}': {values[row, column]:g} is not finite, or too large for "
        "32-bit floats",
        fix="send a plausible value",
    )


@lru_cache(maxsize=8)
def _safe_magnitude(scaler: Scaler | None) -> float:
    """Return the magnitude below which scaled values of every channel are finite."""
    if scaler is None:
        return _HALF_OF_LARGEST
    return min(1.0, *scaler.scale) * _HALF_OF_LARGEST - max(map(abs, scaler.centre))


def json_type(value: object) -> str:
    """Return the type of a JSON value, with its article, for a message."""
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _not_json(error: Exception) -> RequestError:
    return RequestError(f"the request is not JSON ({error})")


def _may_hold_duplicates(body: bytes, content: dict[str, Any], instances: list[object]) -> bool:
    """Return whether an object may have a name twice, of which the parser keeps the last value.

    Each pair of name and value has a colon, and texts may have some: as many colons as pairs rule duplicates out.
    """
    pairs = len(content) + sum(len(row) for row in instances if isinstance(row, dict))
    return body.count(b":") != pairs


def _without_duplicates(body: bytes) -> dict[str, Any]:
    """Parse the body again, slowly.

    Raises:
        RequestError: The request or one of its rows has a name twice.
    """

    def pairs(found: list[tuple[str, Any]]) -> _Pairs:
        row = _Pairs(found)
        if len(row) != len(found):
            row.duplicate = first_repeated(name for name, _ in found)
        return row

    try:
        content: _Pairs = json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from error
    if content.duplicate is not None:
        raise RequestError(f"the request has the key {content.duplicate!r} twice", fix="send it once")
    for index, row in enumerate(content["instances"]):
        if isinstance(row, _Pairs) and row.duplicate is not None:
            raise RequestError(f"row {index}, channel '{row.duplicate}': given twice", fix="send it once")
    return content


def _ordered(index: int, row: object, channels: Sequence[str], known: AbstractSet[str]) -> list[object]:
    """Return the values of a row in the order of the channels."""
    if isinstance(row, list):
        if len(row) != len(channels):
            raise RequestError(
                f"row {index}: {len(row)} values for {len(channels)} channels ('{channels[0]}' to '{channels[-1]}')",
                fix="send one value per channel, in the order of the model",
            )
        return row
    if not isinstance(row, dict):
        raise RequestError(
            f"row {index}: {json_type(row)}", fix="send an object of named channels, or a list of numbers"
        )
    try:
        values = [row[name] for name in channels]
    except KeyError as error:
        raise RequestError(
            f"row {index}, channel '{error.args[0]}': missing", fix="send every channel of the model"
        ) from error
    if len(row) > len(channels):
        unknown = row.keys() - known
        if unknown:
            raise RequestError(f"row {index}, channel '{min(unknown)}': unknown to the model", fix="leave it out")
    return values


def _first(
    ordered: list[list[object]], channels: Sequence[str], is_invalid: Callable[[object], bool]
) -> tuple[str, object]:
    """Return the place and the value of the first invalid value."""
    return next(
        (f"row {index}, channel '{channels[column]}'", value)
        for index, row in enumerate(ordered)
        for column, value in enumerate(row)
        if is_invalid(value)
    )
