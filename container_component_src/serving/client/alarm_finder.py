"""The alarms in the answers to consecutive batches of rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.alarms.alarm import Alarm, AlarmSource
from container_component_src.alarms.tracker import AlarmState, AlarmTracker, Channels, ChannelShare, Memory
from container_component_src.arrays import Timestamps

_SMOOTHED = "smoothed_score"  # output that only answers to telemetry with timestamps have


class AlarmFinder:
    """Finds the alarms that the evaluation would find, whatever the batches.

    Args:
        source: The model's rule of alarms.
        memory: What another finder remembered of the rows before; None: there are none.
    """

    def __init__(self, source: AlarmSource, memory: Memory | None = None) -> None:
        self._source = source
        # None as long as no answer says what it needs.
        self._tracker = None if memory is None else AlarmTracker.resumed(source.rule, memory)

    @property
    def memory(self) -> Memory | None:
        """What the next rows need of those before; None if no alarms could be found yet."""
        return None if self._tracker is None else self._tracker.memory

    def push(self, timestamps: Timestamps | None, answers: Mapping[str, npt.NDArray[Any]]) -> Sequence[Alarm] | None:
        """Return the alarms that have ended before the end of a batch; arguments and None as for `changes`."""
        found = self.changes(timestamps, answers)
        return None if found is None else tuple(alarm for alarm in found if alarm.state is AlarmState.CLOSED)

    def changes(self, timestamps: Timestamps | None, answers: Mapping[str, npt.NDArray[Any]]) -> Sequence[Alarm] | None:
        """Return the alarms that a batch changes, once for each change; None if there are no alarms in such answers.

        Args:
            timestamps: Those of the next rows, [rows].
            answers: Outputs of the server by name; the first dimension of each is that of the rows.
        """
        if timestamps is None or _SMOOTHED not in answers:
            return None

        def channels_at(row: int) -> Channels:
            pairs = zip(answers["top_channel"][row].tolist(), answers["top_share"][row].tolist(), strict=True)
            return tuple(ChannelShare(channel, share) for channel, share in pairs)

        self._tracker = self._tracker or AlarmTracker(self._source.rule)
        forced = np.asarray(answers["dead"].any(axis=1)) if "dead" in answers else None
        found = self._tracker.push(timestamps, answers[_SMOOTHED], channels_at, forced).changes
        return tuple(map(self._source.alarm, found))

    def finish(self) -> Sequence[Alarm] | None:
        """Return the alarm that lasts until the last row, if there is one; None if alarms could not be found."""
        return None if self._tracker is None else tuple(map(self._source.alarm, self._tracker.finish()))
