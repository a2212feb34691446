"""The alarms in the answers to consecutive batches of rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.alarms.alarm import Alarm, AlarmSource
from container_component_src.alarms.tracker import AlarmState, AlarmTracker, Change, Channels, ChannelShare
from container_component_src.arrays import Timestamps

_SMOOTHED = "smoothed_score"  # output that only answers to telemetry with timestamps have


class AlarmFinder:
    """Finds the alarms that the evaluation would find, whatever the batches.

    Args:
        source: The model's rule of alarms.
    """

    def __init__(self, source: AlarmSource) -> None:
        self._source = source
        self._tracker: AlarmTracker | None = None  # none as long as no answer says what it needs

    def push(self, timestamps: Timestamps | None, answers: Mapping[str, npt.NDArray[Any]]) -> Sequence[Alarm] | None:
        """Return the alarms that have ended before the end of a batch; None if alarms cannot be found in such answers.

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
        return self._closed(self._tracker.push(timestamps, answers[_SMOOTHED], channels_at, forced).changes)

    def finish(self) -> Sequence[Alarm] | None:
        """Return the alarm that lasts until the last row, if there is one; None if alarms could not be found."""
        return None if self._tracker is None else self._closed(self._tracker.finish())

    def _closed(self, changes: Sequence[Change]) -> Sequence[Alarm]:
        return tuple(self._source.alarm(change) for change in changes if change.state is AlarmState.CLOSED)
