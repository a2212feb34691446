"""The state machine of alarms: from scores in order of time to alarms.

Evaluation, report, servers, their client and the calibration all find alarms with it. It reads the scores in pieces of
any size and remembers what the next piece needs, so the alarms do not depend on how the scores are cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import BoolArray, Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.telemetry.runs import runs_of

Scores = Float32Array | Float64Array  # nats, [rows]


class AlarmState(StrEnum):
    """What has become of an alarm."""

    OPENED = "opened"
    UPDATED = "updated"  # it lasts longer
    CLOSED = "closed"


@dataclass(frozen=True)
class ChannelShare:
    """A channel and its share of what a score exceeds the usual one by."""

    channel: str
    share: float  # 0 to 1


Channels = tuple[ChannelShare, ...]  # largest share first


@dataclass(frozen=True)
class Span:
    """Time, extent and peak of an alarm; times are nanoseconds since 1970-01-01 UTC."""

    start: int  # first row above `raise_above`
    raised: int | None  # row at which it had lasted long enough; None: not yet
    end: int  # last row above `clear_below` so far
    rows: int  # from start to end, without those below `clear_below`
    peak: int  # row with the largest score
    peak_score: float  # nats
    channels: Channels = ()  # of the peak


class Change(NamedTuple):
    """A change of an alarm."""

    state: AlarmState
    span: Span


@dataclass(frozen=True)
class Tracked:
    """What a piece of the scores changes."""

    changes: list[Change]  # in order of time
    in_alarm: BoolArray  # rows of an alarm that has been raised, [rows]


@dataclass(frozen=True)
class Memory:
    """What a tracker remembers of the scores that it has read."""

    alarm: Span | None = None  # that may go on, or become one with the next
    lasts: bool = False  # whether the last row belongs to it
    last: int | None = None  # timestamp of the last row


def _no_channels(_: int) -> Channels:
    return ()


@dataclass
class AlarmTracker:
    """Finds the alarms in consecutive pieces of a series of scores.

    Attributes:
        rule: When alarms start and end.
    """

    rule: AlarmRule
    _alarm: Span | None = None
    _lasts: bool = False
    _last: int | None = None
    _changes: list[Change] = field(default_factory=list)

    @classmethod
    def resumed(cls, rule: AlarmRule, memory: Memory) -> "AlarmTracker":
        """Return a tracker that goes on where another one stood."""
        return cls(rule, memory.alarm, memory.lasts, memory.last)

    @property
    def memory(self) -> Memory:
        """What the next scores need of those before."""
        return Memory(self._alarm, self._lasts, self._last)

    def push(
        self,
        timestamps: Timestamps,
        scores: Scores,
        channels_at: Callable[[int], Channels] = _no_channels,
        forced: BoolArray | None = None,
    ) -> Tracked:
        """Read the next scores.

        Args:
            timestamps: Shape [rows], ascending.
            scores: Smoothed scores, [rows].
            channels_at: Returns the channels of a row of this piece, by its position.
            forced: Rows that are in alarm whatever their score, [rows]; none by default.
        """
        rows = len(timestamps)
        in_alarm = np.zeros(rows, dtype=np.bool_)
        if not rows:
            return Tracked([], in_alarm)
        after_gap = self._after_gap(timestamps)
        above = np.asarray(scores > np.float64(self.rule.clear_below))
        over = np.asarray(scores > np.float64(self.rule.raise_above))
        if forced is not None:
            above, over = above | forced, over | forced
        goes_on = self._lasts and not after_gap[0]
        for begin, first, stop in _raising(runs_of(above, np.append(after_gap[1:], True)), over, goes_on):
            if not (begin == 0 and goes_on):
                self._end_before(timestamps, first, after_gap)
            self._extend(timestamps, scores, slice(first, stop), channels_at, in_alarm)
        self._lasts = self._alarm is not None and bool(above[-1]) and self._alarm.end == timestamps[-1]
        if not self._lasts:
            self._end_before(timestamps, rows - 1, after_gap)
        self._last = int(timestamps[-1])
        return Tracked(self._take_changes(), in_alarm)

    def finish(self) -> list[Change]:
        """Close the alarm at the end of the series, if there is one."""
        self._close()
        self._lasts, self._last = False, None
        return self._take_changes()

    def _after_gap(self, timestamps: Timestamps) -> BoolArray:
        """Return the rows after a gap in the data, [rows]."""
        steps = np.diff(timestamps, prepend=timestamps[0] if self._last is None else self._last)
        none = self.rule.max_gap_ns is None
        return np.zeros(len(steps), dtype=np.bool_) if none else np.asarray(steps > self.rule.max_gap_ns)

    def _end_before(self, timestamps: Timestamps, row: int, after_gap: BoolArray) -> None:
        """Close the alarm if it does not go on at a row of this piece and is too far from it."""
        if self._alarm is None:
            return
        rest = int(np.searchsorted(timestamps, self._alarm.end, side="right"))
        far = timestamps[row] - self._alarm.end > self.rule.merge_gap_ns
        if self._alarm.raised is None or far or after_gap[rest : row + 1].any():
            self._close()

    def _extend(
        self,
        timestamps: Timestamps,
        scores: Scores,
        rows: slice,
        channels_at: Callable[[int], Channels],
        in_alarm: BoolArray,
    ) -> None:
        """Add rows to the alarm, or start one with them."""
        times, before = timestamps[rows], self._alarm
        start = before.start if before else int(times[0])
        raised = before.raised if before else None
        first_raised = 0
        if raised is None:
            first_raised = int(np.searchsorted(times, start + self.rule.min_duration_ns))
            if first_raised < len(times):
                raised = int(times[first_raised])
            elif rows.stop < len(timestamps):  # it ends too early
                self._alarm = None
                return
        in_alarm[rows.start + first_raised : rows.stop] = True
        peak = rows.start + int(np.argmax(scores[rows]))
        score = float(scores[peak])
        if before is None or score > before.peak_score:
            at, channels = int(timestamps[peak]), channels_at(peak)
        else:
            at, score, channels = before.peak, before.peak_score, before.channels
        self._alarm = Span(
            start=start,
            raised=raised,
            end=int(times[-1]),
            rows=len(times) + (before.rows if before else 0),
            peak=at,
            peak_score=score,
            channels=channels,
        )
        if raised is not None:
            opened = before is None or before.raised is None
            self._changes.append(Change(AlarmState.OPENED if opened else AlarmState.UPDATED, self._alarm))

    def _close(self) -> None:
        if self._alarm is not None and self._alarm.raised is not None:
            self._changes.append(Change(AlarmState.CLOSED, self._alarm))
        self._alarm = None

    def _take_changes(self) -> list[Change]:
        changes, self._changes = self._changes, []
        return changes


def _raising(runs: IntArray, over: BoolArray, goes_on: bool) -> list[list[int]]:
    """Return the runs with a row above `raise_above`, which are few, and the first run if it goes on with an alarm.

    Args:
        runs: First row of each run and the row after its last, [runs, 2].
        over: Rows above `raise_above`, [rows].
        goes_on: Whether a run from the first row belongs to the alarm before it.

    Returns:
        First row, first row of the alarm and row after the last of each run.
    """
    rows = np.append(np.flatnonzero(over), len(over))
    first = rows[np.searchsorted(rows, runs[:, 0])]
    first[:1] = np.where(goes_on & (runs[:1, 0] == 0), 0, first[:1])
    raising: list[list[int]] = np.column_stack([runs[:, 0], first, runs[:, 1]])[first < runs[:, 1]].tolist()
    return raising


def find_alarms(timestamps: Timestamps, scores: Scores, rule: AlarmRule) -> tuple[list[Span], BoolArray]:
    """Return all alarms of a series, in order of time, and the rows in alarm, [rows]; arguments as for the tracker."""
    tracker = AlarmTracker(rule)
    tracked = tracker.push(timestamps, scores)
    return closed([*tracked.changes, *tracker.finish()]), tracked.in_alarm


def closed(changes: Sequence[Change]) -> list[Span]:
    """Return the alarms that changes close, in order of time."""
    return [change.span for change in changes if change.state is AlarmState.CLOSED]
