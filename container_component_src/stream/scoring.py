"""From rows in order to the events of alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.tracker import AlarmState
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError, StepError
from container_component_src.serving.client.alarm_finder import AlarmFinder
from container_component_src.serving.client.consecutive import (
    ConsecutiveRows,
    Context,
    Outputs,
    ScoringService,
    request_rows,
)
from container_component_src.steps.serving import MissingValues
from container_component_src.stream.rows import Row
from container_component_src.stream.state import StoredRows, StreamState


@dataclass(frozen=True)
class ScoredRows:
    """Rows with their answers, and the events that they cause."""

    timestamps: Timestamps  # [rows]
    values: Float64Array  # engineering units, [rows, channels]
    outputs: Outputs
    events: Sequence[Alarm]


class StreamScorer:
    """Scores rows in order and finds the changes of alarms; neither depends on how the rows are cut.

    Args:
        service: Scores the rows.
        missing: Whether rows with missing values are imputed.
        update_ns: Least nanoseconds of telemetry between two events that say that an alarm goes on.

    Attributes:
        model: Description of the model.
        imputes: Whether missing values are imputed; otherwise rows with any must be left out.
        open_alarm: The alarm that goes on, as it is now.

    Raises:
        InputError: The service has no such model.
        StepError: It does not answer.
    """

    def __init__(self, service: ScoringService, missing: MissingValues, update_ns: int) -> None:
        self._service = service
        self._missing = missing
        self._update_ns = update_ns
        self.open_alarm: Alarm | None = None
        self._updated = 0  # end of the open alarm in its last event
        self._adopt(None)

    def _adopt(self, context: Context | None) -> None:
        """Begin to score with the model that is served now, after these rows."""
        self.model = self._service.describe()
        self.imputes = self._missing.imputes(self.model.impute_missing)
        self._rows = ConsecutiveRows(self._service, self.model, self.imputes, context)
        self._finder = AlarmFinder(self.model.alarm_source)

    def batch_rows(self, wanted: int) -> int:
        """Return how many rows may be scored at once."""
        return request_rows(self.model, wanted)

    def push(self, rows: Sequence[Row]) -> ScoredRows:
        """Score the next rows; after an error, they are not known.

        If another model has been deployed, its alarms begin anew: the one that goes on is closed.

        Args:
            rows: In order of time.

        Raises:
            RefusedRowsError: The model refuses a row.
            InputError: The service refuses access, or scores other channels than before.
            StepError: The service does not answer, or replaces its model time and again.
        """
        timestamps = np.array([row.timestamp for row in rows], dtype=np.int64)
        values = np.array([row.values for row in rows])
        events: list[Alarm] = []
        context = self._rows.context
        outputs, version = self._rows.push(timestamps, values)
        if version != self.model.version:
            channels = self.model.channels
            self._adopt(context)
            if self.model.channels != channels:
                raise InputError("a model of other channels has been deployed", fix="name another --state-file")
            outputs, version = self._rows.push(timestamps, values)
            if version != self.model.version:
                raise StepError("the service replaces its model", fix="wait until the update is complete")
            events += self.close()
        changes = self._finder.changes(timestamps, outputs)
        if changes is None:
            raise InputError("the server is a predictor, which finds no alarms", fix="ask the transformer with --url")
        events += self._events(changes)
        return ScoredRows(timestamps, values, outputs, events)

    def close(self) -> list[Alarm]:
        """Return the event that closes the open alarm, if there is one."""
        if self.open_alarm is None:
            return []
        closed = self.open_alarm.model_copy(update={"state": AlarmState.CLOSED})
        self.open_alarm = None
        return [closed]

    def finish(self) -> list[Alarm]:
        """Return the event that closes the alarm at the end of the telemetry, if there is one."""
        return self._events(self._finder.finish() or ())

    def _events(self, changes: Sequence[Alarm]) -> list[Alarm]:
        """Return the changes that are reported: all but some of those that only say that an alarm goes on."""
        events = []
        for alarm in changes:
            self.open_alarm = None if alarm.state is AlarmState.CLOSED else alarm
            if alarm.state is not AlarmState.UPDATED or alarm.end - self._updated >= self._update_ns:
                self._updated = alarm.end
                events.append(alarm)
        return events

    def resume(self, state: StreamState) -> list[Alarm]:
        """Go on where a stream stood; return the event that closes the alarm of a model that has been replaced.

        Raises:
            InputError: The model has other channels than the rows of the state.
        """
        if state.channels != self.model.channels:
            raise InputError("the state is that of a model of other channels", fix="name another --state-file")
        context = Context(*state.context.arrays(len(state.channels)))
        self.open_alarm, self._updated = state.open_alarm, state.updated or 0
        self._rows = ConsecutiveRows(self._service, self.model, self.imputes, context)
        if state.model_version != self.model.version:
            return self.close()
        self._finder = AlarmFinder(self.model.alarm_source, state.tracker)
        return []

    def state(self) -> dict[str, object]:
        """Return the part of the state that is known here, by the names of `StreamState`."""
        context = self._rows.context
        return {
            "model_version": self.model.version,
            "channels": self.model.channels,
            "context": StoredRows.of(context.timestamps.tolist(), context.values),
            "tracker": self._finder.memory,
            "open_alarm": self.open_alarm,
            "updated": self._updated,
        }
