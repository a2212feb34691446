"""What a stream must know to go on after a stop or a crash: a small JSON file, replaced as a whole."""

import base64
import os
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import Memory
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.stream.marks import Mark
from container_component_src.values import Frozen, describe


class StoredRows(Frozen):
    """Rows of telemetry."""

    timestamps: tuple[int, ...] = ()  # nanoseconds since 1970-01-01 UTC
    values: str = ""  # float64 [rows, channels], little-endian, in base64

    @classmethod
    def of(cls, timestamps: Sequence[int], values: Float64Array) -> Self:
        """Store rows, values being [rows, channels]."""
        return cls(timestamps=tuple(timestamps), values=base64.b64encode(values.astype("<f8").tobytes()).decode())

    def arrays(self, channels: int) -> tuple[Timestamps, Float64Array]:
        """Return the timestamps [rows] and the values [rows, channels].

        Raises:
            ValueError: The values are damaged.
        """
        values = np.frombuffer(base64.b64decode(self.values), dtype="<f8").astype(np.float64)
        return np.array(self.timestamps, dtype=np.int64), values.reshape(len(self.timestamps), channels)


class StreamState(Frozen):
    """The state of a stream between two rows."""

    format_version: Literal[1] = 1
    options: dict[str, Any]  # those that the rest depends on
    model_version: str
    channels: tuple[str, ...]  # of the values
    context: StoredRows = StoredRows()  # rows that the answers to the next depend on, with channels that are missing
    held: StoredRows = StoredRows()  # rows that wait for older ones
    recent: tuple[int, ...] = ()  # timestamps of the last rows that were scored
    tracker: Memory | None = None
    open_alarm: Alarm | None = None  # as it is now
    updated: int | None = None  # end of the open alarm in its last event
    offsets: dict[str, int] = Field(default_factory=dict)  # of the source
    events_end: Mark | None = None  # of the file of events
    counts: dict[str, int] = Field(default_factory=dict)  # of rows and alarms since the first start


def read_state(location: Location, options: dict[str, Any]) -> StreamState | None:
    """Return the state of a stream; None if there is none yet.

    Args:
        location: The file.
        options: Those of this start, which must be the same.

    Raises:
        InputError: The file is no state, or that of another stream.
    """
    if not location.exists():
        return None
    anew = "name another --state-file to start anew, or delete this one"
    try:
        state = StreamState.model_validate_json(location.read_bytes())
        for rows in (state.context, state.held):
            rows.arrays(len(state.channels))
    except ValidationError as error:
        raise InputError(f"{location.uri}: no state of a stream ({describe(error)})", fix=anew) from error
    except ValueError as error:
        raise InputError(f"{location.uri}: damaged state of a stream ({error})", fix=anew) from error
    different = sorted(name for name in options.keys() | state.options.keys()
                       if options.get(name) != state.options.get(name))  # fmt: skip
    if different:
        name = different[0]
        raise InputError(
            f"{location.uri}: the state of a stream with --{name.replace('_', '-')} {state.options.get(name)}, not "
            f"{options.get(name)}",
            fix=anew,
        )
    return state


def write_state(location: Location, state: StreamState) -> None:
    """Replace the state; it is on the disk before the old one is gone."""
    with location.open_output() as file:
        file.write(state.model_dump_json().encode())
        if location.is_local:
            file.flush()
            os.fsync(file.fileno())
