"""Requests of the V1 protocol: rows as JSON objects or lists."""

import json
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import (
    IMPUTE_MISSING,
    Rows,
    imputes,
    json_of,
    json_type,
    parameters_of,
)
from container_component_src.serving.protocol.timestamps import timestamps_of

_NUMBERS = frozenset({int, float})  # the types of JSON numbers in Python; bool is another type
# The last is of TensorFlow Serving and has no effect here.
_KEYS = ("instances", "timestamps", "parameters", "signature_name")


def rows_of_json(
    body: bytes, channels: Sequence[str], ignored: AbstractSet[str] = frozenset(), impute: bool | None = None
) -> Rows:
    """Return the rows of a V1 request.

    Args:
        body: JSON `{"instances": [row, ...]}`, with `"timestamps": [time, ...]` if they are known.
        channels: Names that every row must have, in the order of the result's columns.
        ignored: Further names that a row may have.
        impute: Whether missing values are imputed if the request does not say; None if this server cannot impute.

    Raises:
        RequestError: The body is not such JSON, or a row or a timestamp is invalid.
    """
    content = json_of(body)
    instances = instances_of(content)
    parameters = parameters_of(content, "the request")
    unknown = (content.keys() - set(_KEYS)) | (parameters.keys() - {IMPUTE_MISSING})
    if unknown:
        raise RequestError(f"the request has an unknown key {min(unknown)!r}", fix=f"send {', '.join(_KEYS[:-1])} only")
    impute = imputes(parameters, impute)
    values = values_of(instances, channels, ignored, impute)
    if _may_hold_duplicates(body, content, parameters, instances):
        _refuse_duplicates(body)
    times = content.get("timestamps")
    if times is not None and not isinstance(times, list):
        raise RequestError(f'"timestamps" is {json_type(times)}', fix="send a list with one per row")
    return Rows.of(values, None if times is None else timestamps_of(times, len(values)), impute)


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


def values_of(
    rows: Sequence[object], channels: Sequence[str], ignored: AbstractSet[str] = frozenset(), nulls: bool = False
) -> Float64Array:
    """Return rows as an array with one column per channel.

    Args:
        rows: Each an object `{channel: number}`, or a list of numbers in the order of `channels`.
        channels: Names that every row must have, in the order of the result's columns.
        ignored: Further names that objects may have; their values are not checked.
        nulls: Whether a value may be null, which becomes NaN.

    Returns:
        Array of shape [rows, channels].

    Raises:
        RequestError: A row lacks a channel, has an unknown one or another length, or a value is not a number.
    """
    known = set(channels) | ignored
    ordered = [_ordered(index, row, channels, known) for index, row in enumerate(rows)]
    # One pass in C over all values; the place of an invalid value is searched only if there is one.
    allowed = _NUMBERS | {type(None)} if nulls else _NUMBERS
    if not allowed.issuperset(map(type, chain.from_iterable(ordered))):
        place, value = _first(ordered, channels, lambda value: type(value) not in allowed)
        raise RequestError(f"{place}: {json_type(value)}", fix="send a finite number")
    try:
        size = len(ordered) * len(channels)
        return np.fromiter(chain.from_iterable(ordered), np.float64, size).reshape(len(ordered), len(channels))
    except OverflowError as error:  # integers have no limit in JSON
        place, _ = _first(ordered, channels, lambda value: isinstance(value, int) and abs(value) > sys.float_info.max)
        raise RequestError(f"{place}: an integer too large for a float", fix="send a plausible value") from error


class _Pairs(dict[str, Any]):
    """A JSON object that knows whether it had a name twice."""

    duplicate: str | None = None


def _may_hold_duplicates(
    body: bytes, content: dict[str, Any], parameters: dict[str, Any], instances: list[object]
) -> bool:
    """Return whether an object may have a name twice, of which the parser keeps the last value.

    Each pair of name and value has a colon, and texts may have some: as many colons as pairs rule duplicates out.
    """
    pairs = len(content) + len(parameters) + sum(len(row) for row in instances if isinstance(row, dict))
    return body.count(b":") != pairs


def _refuse_duplicates(body: bytes) -> None:
    """Parse the body again, slowly, to see names that are repeated.

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
        raise RequestError(f"the request is not JSON ({error})") from error
    for owner in (content, content.get("parameters")):
        if isinstance(owner, _Pairs) and owner.duplicate is not None:
            raise RequestError(f"the request has the key {owner.duplicate!r} twice", fix="send it once")
    for index, row in enumerate(content["instances"]):
        if isinstance(row, _Pairs) and row.duplicate is not None:
            raise RequestError(f"row {index}, channel '{row.duplicate}': given twice", fix="send it once")


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
