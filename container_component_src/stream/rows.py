"""Rows of telemetry from messages: one JSON object each."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic_core import from_json

from container_component_src.arrays import Float64Array
from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import json_type
from container_component_src.serving.protocol.timestamps import timestamp_of

_VALUES = frozenset({int, float, type(None)})  # the types of a value in JSON; bool is another one
_NANOSECONDS = 1e9


class MalformedRowError(ValueError):
    """A message is no row; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of telemetry."""

    timestamp: int  # nanoseconds since 1970-01-01 UTC
    values: Float64Array  # engineering units, [channels]; NaN if missing
    received: float  # monotonic time in seconds


class RowReader:
    """Reads rows.

    Args:
        channels: Those of the model; a row without one has a missing value, and further names are ignored.
        timestamp_col: Name of the timestamp.
        max_bytes: Length of the longest message.
        max_ahead: Seconds that a timestamp may be ahead of the clock.
    """

    def __init__(self, channels: Sequence[str], timestamp_col: str, max_bytes: int, max_ahead: float) -> None:
        self._channels = channels
        self._timestamp_col = timestamp_col
        self._max_bytes = max_bytes
        self._max_ahead = max_ahead

    def read(self, text: bytes | None, received: float) -> Row:
        """Return the row of a message.

        Args:
            text: JSON; None if it was too long to be kept.
            received: Monotonic time in seconds.

        Raises:
            MalformedRowError: It is no row.
        """
        if text is None or len(text) > self._max_bytes:
            raise MalformedRowError(f"longer than {self._max_bytes} bytes")
        row = _object(text)
        timestamp = self._timestamp(row.get(self._timestamp_col))
        found = [row.get(name) for name in self._channels]
        if not _VALUES.issuperset(map(type, found)):
            name, value = next(pair for pair in zip(self._channels, found, strict=True) if type(pair[1]) not in _VALUES)
            raise MalformedRowError(f"channel '{name}' is {json_type(value)}")
        try:
            values = np.array(found, dtype=np.float64)
        except OverflowError as error:  # integers have no limit in JSON
            raise MalformedRowError("an integer is too large for a float") from error
        return Row(timestamp, values, received)

    def _timestamp(self, value: object) -> int:
        if value is None:
            raise MalformedRowError(f"no timestamp '{self._timestamp_col}'")
        try:
            timestamp = timestamp_of(value)
        except RequestError as error:
            raise MalformedRowError(str(error)) from error
        if timestamp > (time.time() + self._max_ahead) * _NANOSECONDS:
            raise MalformedRowError(f"timestamp {str(value)[:40]} is in the future")
        return timestamp


def _object(text: bytes) -> dict[str, object]:
    try:
        row = from_json(text)
        if not isinstance(row, dict):
            raise MalformedRowError(f"{json_type(row)} instead of an object")
        # Each pair of name and value has a colon, and texts may have some: as many colons as pairs rule repetition out.
        if text.count(b":") != len(row):
            _refuse_repeated(text)
    except MalformedRowError:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedRowError(f"not JSON ({error})") from error
    return row


def _refuse_repeated(text: bytes) -> None:
    def check(pairs: list[tuple[str, object]]) -> None:
        name = first_repeated(name for name, _ in pairs)
        if name is not None:
            raise MalformedRowError(f"'{name[:100]}' is given twice")

    json.loads(text, object_pairs_hook=check)
