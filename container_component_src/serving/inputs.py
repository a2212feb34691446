"""The rows of a request: checked, ordered and made an array, or refused with the row and the channel at fault."""

import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from container_component_src.telemetry.scaler import Scaler

_NUMBERS = {int, float}  # the types that JSON numbers become; bool is another one


class RequestError(Exception):
    """The request is at fault; its text names row and channel, rows counted from 0."""


@dataclass(frozen=True)
class Telemetry:
    """Checked rows of a request."""

    observed: npt.NDArray[np.float64]  # engineering units as sent, shape [rows, channels]
    scaled: npt.NDArray[np.float32]  # what the predictor is asked to score, shape [rows, channels]


def instances_of(body: object) -> list[object]:
    """The rows of a V1 request.

    Args:
        body: What the JSON of the request became, or its bytes where the content type does not say that it is JSON.

    Raises:
        RequestError: The body is not a JSON object that holds a list `instances` of at least one row.
    """
    if isinstance(body, bytes):
        try:
            body = from_json(body)
        except ValueError as error:
            raise RequestError(f"the request is not JSON ({error})") from error
    if not isinstance(body, dict):
        raise RequestError('the request is no JSON object; send {"instances": [row, ...]}')
    if "instances" not in body:
        raise RequestError('the request has no key "instances"; send {"instances": [row, ...]}')
    instances = body["instances"]
    if not isinstance(instances, list):
        raise RequestError(f'"instances" is {_kind(instances)}; send a list of rows')
    if not instances:
        raise RequestError('"instances" is empty; send at least one row')
    return instances


def values_of(
    rows: Sequence[object], channels: Sequence[str], ignored: AbstractSet[str] = frozenset()
) -> npt.NDArray[np.float64]:
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
    ordered = [_ordered(index, row, channels, ignored) for index, row in enumerate(rows)]
    # One pass in C over all values; which of them is at fault is looked up only when one is.
    if not _NUMBERS.issuperset(map(type, chain.from_iterable(ordered))):
        place, value = _first(ordered, channels, lambda value: type(value) not in _NUMBERS)
        raise RequestError(f"{place}: {_kind(value)}; send a finite number")
    try:
        return np.array(ordered, dtype=np.float64)
    except OverflowError as error:  # integers have no limit in JSON
        place, _ = _first(ordered, channels, lambda value: isinstance(value, int) and abs(value) > sys.float_info.max)
        raise RequestError(f"{place}: an integer too large for a float; send a plausible value") from error


def telemetry_of(rows: Sequence[object], channels: Sequence[str], scaler: Scaler | None) -> Telemetry:
    """Check rows in engineering units and scale them.

    Args:
        rows: As in `values_of`; objects may also hold the channels that the scaler dropped as constant.
        channels: Channels of the model, in order: those of the scaler.
        scaler: The scaling of the training data, or None when the model was trained on unscaled values.

    Raises:
        RequestError: As `values_of`, or a value is not finite or overflows 32-bit floats when scaled.
    """
    observed = values_of(rows, channels, ignored=frozenset(scaler.dropped) if scaler else frozenset())
    centre, scale = (np.asarray(scaler.centre), np.asarray(scaler.scale)) if scaler else (0.0, 1.0)
    # The scaler takes what is not finite for missing and puts the centre there, which would hide the fault.
    with np.errstate(over="ignore"):
        fits = np.isfinite(observed.astype(np.float32)) & np.isfinite(((observed - centre) / scale).astype(np.float32))
    if not fits.all():
        refuse_value(observed, ~fits, channels)
    values = observed.astype(np.float32)
    return Telemetry(observed, scaler.transform(values) if scaler else values)


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


def _ordered(index: int, row: object, channels: Sequence[str], ignored: AbstractSet[str]) -> list[object]:
    if isinstance(row, list):
        if len(row) != len(channels):
            raise RequestError(
                f"row {index}: {len(row)} values for {len(channels)} channels ('{channels[0]}' to '{channels[-1]}'); "
                "send one value per channel, in the order of the model"
            )
        return row
    if not isinstance(row, dict):
        raise RequestError(f"row {index}: {_kind(row)}; send an object of named channels, or a list of numbers")
    missing = [name for name in channels if name not in row]
    if missing:
        raise RequestError(f"row {index}, channel '{missing[0]}': missing; send every channel of the model")
    if len(row) > len(channels):
        unknown = row.keys() - set(channels) - ignored
        if unknown:
            raise RequestError(f"row {index}, channel '{min(unknown)}': unknown to the model; leave it out")
    return [row[name] for name in channels]


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


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")
