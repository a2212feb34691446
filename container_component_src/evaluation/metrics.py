"""Metrics of anomaly scores against labelled rows and reported events.

An alarm is a row whose score exceeds the threshold. All thresholds are judged at once from sorted scores. The composite
F1 score is the harmonic mean of point-wise precision and event-wise recall (Garg et al. 2021, "An Evaluation of Anomaly
Detection and Diagnosis in Multivariate Time Series"): an event counts as found with its first alarm, while every row
of false alarm costs precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from container_component_src.errors import InputError
from container_component_src.evaluation.result import ThresholdMetrics
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.smoothing import (
    NANOSECONDS_PER_DAY,
    NANOSECONDS_PER_SECOND,
    Scores,
    Timestamps,
    default_max_gap,
    median_step,
)

MAX_POINTS = 100_000  # of a curve: more thresholds are judged, but not all kept

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledScores:
    """Scores of a test dataset with what is known to be abnormal in it.

    Events without rows are left aside; the others may touch or overlap.

    Raises:
        InputError: Lengths differ, a score is not finite, a label is not 0 or 1, all labels are the same, or no event
            has rows: metrics of such data would be numbers without meaning.
    """

    timestamps: Timestamps  # shape [rows]
    scores: Scores  # shape [rows]
    labels: npt.NDArray[np.int8]  # shape [rows], 1 = abnormal
    events: Sequence[Event]

    def __post_init__(self) -> None:
        rows = len(self.timestamps)
        if len(self.scores) != rows or len(self.labels) != rows:
            raise InputError(
                f"{rows} timestamps, {len(self.scores)} scores and {len(self.labels)} labels; give one of each per row"
            )
        bad = np.flatnonzero(~np.isfinite(self.scores))
        if len(bad):
            raise InputError(f"the score of row {bad[0]} is not finite; train the model again or fix that row")
        if np.any((self.labels != 0) & (self.labels != 1)):
            raise InputError("a label is neither 0 nor 1; label the test data again")
        anomalous = int(np.count_nonzero(self.labels))
        if anomalous == 0:
            raise InputError("no test row is labelled as abnormal; check that the reports cover the time of the data")
        if anomalous == rows:
            raise InputError("every test row is labelled as abnormal; widen the test windows to include normal rows")
        if not len(self.events_with_rows):
            raise InputError("no reported event has rows in the test data; label the test data again")

    @cached_property
    def events_with_rows(self) -> tuple[Event, ...]:
        """The events that can be found, by start."""
        ordered = sorted(self.events, key=lambda event: (event.start, event.end, event.id))
        bounds = row_bounds(self.timestamps, ordered)
        return tuple(event for event, (first, last) in zip(ordered, bounds.tolist(), strict=True) if first < last)

    @cached_property
    def event_bounds(self) -> Counts:
        """First row and row after the last of each event with rows, shape [events, 2]."""
        return row_bounds(self.timestamps, self.events_with_rows)

    @cached_property
    def event_peaks(self) -> Floats:
        """Largest score of each event with rows, shape [events]."""
        # reduceat takes pairs of bounds; the appended value makes the end of the data a valid one.
        padded = np.append(self.scores, -np.inf)
        return np.asarray(np.maximum.reduceat(padded, self.event_bounds.ravel())[::2], dtype=np.float64)

    @cached_property
    def is_normal(self) -> npt.NDArray[np.bool_]:
        """Rows outside of anomalies, shape [rows]."""
        return np.asarray(self.labels == 0)

    @cached_property
    def normal_scores(self) -> Scores:
        """Scores of the rows outside of anomalies, ascending."""
        return np.sort(self.scores[self.is_normal])

    @cached_property
    def anomalous_scores(self) -> Scores:
        """Scores of the abnormal rows, ascending."""
        return np.sort(self.scores[~self.is_normal])

    @cached_property
    def normal_days(self) -> float:
        """Days observed outside of anomalies; 0 where the time step is unknown."""
        return float(np.sum(self._durations[self.is_normal]) / NANOSECONDS_PER_DAY)

    @cached_property
    def observed_days(self) -> float:
        """Days observed; a gap counts as one usual time step."""
        return float(np.sum(self._durations) / NANOSECONDS_PER_DAY)

    @property
    def days(self) -> Floats:
        """Days that each row stands for, shape [rows]."""
        return self._durations / NANOSECONDS_PER_DAY

    @cached_property
    def _durations(self) -> Counts:
        """Nanoseconds that each row stands for, shape [rows]."""
        usual = median_step(self.timestamps) or 0
        steps = np.append(np.diff(self.timestamps), usual)
        return np.where(self._before_gap, usual, steps)

    @cached_property
    def _before_gap(self) -> npt.NDArray[np.bool_]:
        """Rows that a gap or the end of the data follows, shape [rows]."""
        max_gap = default_max_gap(self.timestamps)
        longer = np.diff(self.timestamps) > max_gap if max_gap is not None else np.empty(0, dtype=bool)
        return np.append(longer, True)

    def false_alarms(self, threshold: float) -> int:
        """Alarms that begin outside of anomalies: rising edges, where an alarm after a gap begins anew."""
        return int(np.count_nonzero(self.alarm_begins(threshold) & self.is_normal))

    def alarm_begins(self, threshold: float) -> npt.NDArray[np.bool_]:
        """Rows with an alarm that the row before does not have, shape [rows]; after a gap every alarm begins."""
        alarm = self._alarm(threshold)
        before = np.concatenate([[False], (alarm & ~self._before_gap)[:-1]])
        return np.asarray(alarm & ~before)

    def delays(self, threshold: float) -> list[float | None]:
        """Seconds from each event's start to its first alarm, None for events without one."""
        alarms = np.flatnonzero(self._alarm(threshold))
        first = np.searchsorted(alarms, self.event_bounds[:, 0])
        found = np.append(alarms, len(self.scores))[first]
        return [
            (int(self.timestamps[row]) - event.start) / NANOSECONDS_PER_SECOND if row < stop else None
            for event, row, stop in zip(
                self.events_with_rows, found.tolist(), self.event_bounds[:, 1].tolist(), strict=True
            )
        ]

    def _alarm(self, threshold: float) -> npt.NDArray[np.bool_]:
        # As a float64 scalar: a plain float would be rounded to the type of the scores before it is compared.
        return np.asarray(self.scores > np.float64(threshold))


@dataclass(frozen=True)
class Curve:
    """The alarms of ascending thresholds."""

    threshold: Floats  # shape [points], as all columns
    true_positives: Counts
    false_positives: Counts
    events_detected: Counts
    positives: int  # abnormal rows
    negatives: int  # normal rows
    events: int

    @cached_property
    def precision(self) -> Floats:
        """Abnormal rows among the rows in alarm; defined everywhere, as each threshold leaves an alarm."""
        return np.asarray(self.true_positives / (self.true_positives + self.false_positives))

    @cached_property
    def recall(self) -> Floats:
        """Rows in alarm among the abnormal rows."""
        return self.true_positives / self.positives

    @cached_property
    def false_positive_rate(self) -> Floats:
        """Rows in alarm among the normal rows."""
        return self.false_positives / self.negatives

    @cached_property
    def event_recall(self) -> Floats:
        """Events with an alarm among all events."""
        return self.events_detected / self.events

    @cached_property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall."""
        return harmonic_mean(self.precision, self.recall)

    @cached_property
    def composite_f1(self) -> Floats:
        """Harmonic mean of precision and event recall."""
        return harmonic_mean(self.precision, self.event_recall)

    @property
    def best(self) -> int:
        """Position of the highest composite F1. Chosen on the test labels, it is an upper bound, not an estimate."""
        return int(np.argmax(self.composite_f1))


def threshold_curve(data: LabelledScores) -> Curve:
    """Judge all thresholds that make a difference: two sorts, then one interval search per column.

    Returns:
        One point per different score: each, and a value just below the lowest (which puts all rows in alarm), is a
        threshold that the highest exceeds. Of more than `MAX_POINTS` it has those evenly spread over the ranks of all
        and of the abnormal scores, and the best one of all.
    """
    levels = np.unique(data.scores)
    thresholds = np.concatenate([np.nextafter(levels[:1], levels.dtype.type(-np.inf)), levels[:-1]])
    if len(levels) > MAX_POINTS:
        everywhere = np.linspace(0, len(levels) - 1, MAX_POINTS // 2).astype(np.int64)
        ranks = np.linspace(0, len(data.anomalous_scores) - 1, MAX_POINTS // 2).astype(np.int64)
        at_anomalies = np.searchsorted(levels, data.anomalous_scores[ranks])
        thresholds = thresholds[np.unique([*everywhere, *at_anomalies, _best(data, thresholds)])]
    return _judged(data, thresholds)


def _best(data: LabelledScores, thresholds: Scores) -> int:
    """Position of the first threshold with the highest composite F1, found in pieces."""
    best, position = -1.0, 0
    for first in range(0, len(thresholds), MAX_POINTS):
        piece = _judged(data, thresholds[first : first + MAX_POINTS])
        if (value := float(piece.composite_f1[piece.best])) > best:
            best, position = value, first + piece.best
    return position


def _judged(data: LabelledScores, thresholds: Scores) -> Curve:
    peaks = np.sort(data.event_peaks)

    def exceeding(ascending: npt.NDArray[np.floating]) -> Counts:
        return len(ascending) - np.searchsorted(ascending, thresholds, side="right")

    return Curve(
        threshold=thresholds.astype(np.float64),
        true_positives=exceeding(data.anomalous_scores),
        false_positives=exceeding(data.normal_scores),
        events_detected=exceeding(peaks),
        positives=len(data.anomalous_scores),
        negatives=len(data.normal_scores),
        events=len(peaks),
    )


def at_threshold(data: LabelledScores, threshold: float) -> ThresholdMetrics:
    """All metrics of one threshold."""
    alarm = data.scores > np.float64(threshold)
    true_positives = int(np.count_nonzero(alarm & ~data.is_normal))
    false_positives = int(np.count_nonzero(alarm & data.is_normal))
    positives = int(np.count_nonzero(data.labels))
    negatives = len(data.labels) - positives
    alarms = true_positives + false_positives
    delays = [delay for delay in data.delays(threshold) if delay is not None]
    event_recall = len(delays) / len(data.events_with_rows)
    precision = true_positives / alarms if alarms else None
    false_alarms = data.false_alarms(threshold)
    return ThresholdMetrics(
        threshold=threshold,
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=positives - true_positives,
        true_negatives=negatives - false_positives,
        precision=precision,
        recall=true_positives / positives,
        f1=2 * true_positives / (alarms + positives),
        events_detected=len(delays),
        event_recall=event_recall,
        composite_f1=float(harmonic_mean(np.array([precision or 0.0]), np.array([event_recall]))[0]),
        median_detection_delay_s=float(np.median(delays)) if delays else None,
        false_alarms=false_alarms,
        false_alarms_per_day=false_alarms / data.normal_days if data.normal_days else None,
    )


def roc_auc(data: LabelledScores) -> float:
    """Area under the ROC curve: the chance that an abnormal row scores above a normal one, half where they are equal.

    That is the statistic of Mann & Whitney (1947); with the scores sorted it takes one search and no further memory.
    """
    below = sum(int(np.searchsorted(data.normal_scores, data.anomalous_scores, side).sum()) for side in _SIDES)
    return below / 2 / (len(data.normal_scores) * len(data.anomalous_scores))


def pr_auc(data: LabelledScores) -> float:
    """Average precision: precision at each score of an abnormal row, weighted by the recall that this score adds."""
    levels, rows = np.unique(data.anomalous_scores, return_counts=True)
    true_positives = len(data.anomalous_scores) - np.searchsorted(data.anomalous_scores, levels)
    false_positives = len(data.normal_scores) - np.searchsorted(data.normal_scores, levels)
    precision = true_positives / (true_positives + false_positives)
    return float(np.average(precision, weights=rows))


def row_bounds(timestamps: Timestamps, events: Sequence[Event]) -> Counts:
    """First row and row after the last of each event, shape [events, 2]; equal for an event without rows."""
    intervals = np.array([(event.start, event.end) for event in events], dtype=np.int64).reshape(-1, 2)
    return np.searchsorted(timestamps, intervals)


def harmonic_mean(left: Floats, right: Floats) -> Floats:
    """Element-wise; 0 where both are 0."""
    total = left + right
    return np.divide(2 * left * right, total, out=np.zeros_like(total), where=total > 0)
