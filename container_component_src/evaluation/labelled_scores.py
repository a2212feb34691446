"""Anomaly scores of a test dataset, with its labels and reported events."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import BoolArray, Float64Array, Int8Array, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.telemetry.events import Event, row_bounds
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY, default_max_gap, row_durations

Scores = npt.NDArray[np.floating]  # [rows], in float32 or float64; a larger score is more abnormal


@dataclass(frozen=True)
class LabelledScores:
    """Scores of test rows, their labels, and the reported events.

    Events without rows are ignored. Events may touch or overlap.

    Raises:
        InputError: The arrays differ in length, a score is not finite, a label is not 0 or 1, all labels are equal, or
            no event has rows. Metrics of such data would mean nothing.
    """

    timestamps: Timestamps  # [rows], ascending
    scores: Scores  # [rows]
    labels: Int8Array  # [rows], 1 for anomalous rows
    events: Sequence[Event]

    def __post_init__(self) -> None:
        rows = len(self.timestamps)
        if len(self.scores) != rows or len(self.labels) != rows:
            raise InputError(
                f"{rows} timestamps, {len(self.scores)} scores and {len(self.labels)} labels",
                fix="give one of each per row",
            )
        bad = np.flatnonzero(~np.isfinite(self.scores))
        if len(bad):
            raise InputError(
                f"the score of row {bad[0]} is not finite", fix="train the model again or correct that row"
            )
        if np.any((self.labels != 0) & (self.labels != 1)):
            raise InputError("a label is neither 0 nor 1", fix="label the test data again")
        anomalous = int(np.count_nonzero(self.labels))
        if anomalous == 0:
            raise InputError(
                "no test row is labelled as anomalous", fix="check that the anomaly reports cover the time of the data"
            )
        if anomalous == rows:
            raise InputError(
                "every test row is labelled as anomalous", fix="widen the test windows to include normal rows"
            )
        if not self.events_with_rows:
            raise InputError("no reported event has rows in the test data", fix="label the test data again")

    @cached_property
    def events_with_rows(self) -> tuple[Event, ...]:
        """Events with rows in the test data, by start."""
        ordered = sorted(self.events, key=lambda event: (event.start, event.end, event.id))
        bounds = row_bounds(self.timestamps, ordered)
        return tuple(event for event, (first, stop) in zip(ordered, bounds.tolist(), strict=True) if first < stop)

    @cached_property
    def event_bounds(self) -> IntArray:
        """First row of each event with rows and the row after its last, [events, 2]."""
        return row_bounds(self.timestamps, self.events_with_rows)

    @cached_property
    def event_starts(self) -> Timestamps:
        """Start of each event with rows, [events]."""
        return np.array([event.start for event in self.events_with_rows], dtype=np.int64)

    @cached_property
    def event_peaks(self) -> Float64Array:
        """Largest score of each event with rows, [events]."""
        # reduceat takes pairs of bounds; the padding makes the end of the data a valid bound.
        padded = np.append(self.scores, -np.inf)
        return np.asarray(np.maximum.reduceat(padded, self.event_bounds.ravel())[::2], dtype=np.float64)

    @cached_property
    def is_normal(self) -> BoolArray:
        """Rows outside anomalies, [rows]."""
        return np.asarray(self.labels == 0)

    @cached_property
    def normal_scores(self) -> Scores:
        """Scores of the normal rows, ascending."""
        return np.sort(self.scores[self.is_normal])

    @cached_property
    def anomalous_scores(self) -> Scores:
        """Scores of the anomalous rows, ascending."""
        return np.sort(self.scores[~self.is_normal])

    @cached_property
    def normal_days(self) -> float:
        """Observed days outside anomalies; 0 if there is a single row."""
        return self.days_of(self.is_normal)

    @cached_property
    def observed_days(self) -> float:
        """Observed days; a gap counts as one median time step."""
        return float(np.sum(self._durations) / NANOSECONDS_PER_DAY)

    @property
    def days(self) -> Float64Array:
        """Observed days of each row, [rows]."""
        return self._durations / NANOSECONDS_PER_DAY

    def days_of(self, rows: BoolArray) -> float:
        """Return the observed days of some rows, [rows]."""
        return float(np.sum(self._durations, where=rows) / NANOSECONDS_PER_DAY)

    @cached_property
    def _durations(self) -> IntArray:
        """Nanoseconds from each row to the next, [rows]; the median time step before a gap and after the last row."""
        return row_durations(self.timestamps, default_max_gap(self.timestamps))

    @cached_property
    def before_gap(self) -> BoolArray:
        """Rows before a gap, and the last row, [rows]."""
        max_gap = default_max_gap(self.timestamps)
        longer = np.diff(self.timestamps) > max_gap if max_gap is not None else np.empty(0, dtype=bool)
        return np.append(longer, True)
