"""Anomaly scores of a test dataset, with its labels and events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import BoolArray, Float64Array, Int8Array, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.telemetry.events import Event, inside_any, row_bounds
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY, default_max_gap, row_durations

Scores = npt.NDArray[np.floating]  # [rows], in float32 or float64; a larger score is more abnormal


@dataclass(frozen=True)
class LabelledScores:
    """Scores of test rows, their labels, the anomalies, and the rare nominal events.

    Events without rows are ignored. Anomalies may touch or overlap, and so may rare nominal events. The other
    attributes are of all rows: metrics are taken from `compared`, without the rows of rare nominal events.

    Raises:
        InputError: The arrays differ in length, a score is not finite, a label is not 0 or 1, all labels are equal, no
            anomaly has rows, or all normal rows are of rare nominal events. Metrics of such data would mean nothing.
    """

    timestamps: Timestamps  # [rows], ascending
    scores: Scores  # [rows]
    labels: Int8Array  # [rows], 1 for anomalous rows
    events: Sequence[Event]  # anomalies
    rare_nominal: Sequence[Event] = ()

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
        if not np.any(self.labels):
            raise InputError(
                "no test row is labelled as anomalous", fix="check that the anomaly reports cover the time of the data"
            )
        if not np.any(self.is_normal & ~self.is_rare):
            others = " or rare nominal" if self.rare_nominal else ""
            raise InputError(
                f"every test row is labelled as anomalous{others}", fix="widen the test windows to include normal rows"
            )
        if not self.events_with_rows:
            raise InputError("no reported event has rows in the test data", fix="label the test data again")

    @cached_property
    def is_rare(self) -> BoolArray:
        """Rows of rare nominal events and of no anomaly, [rows]."""
        return np.asarray(inside_any(self.timestamps, self.rare_nominal) & (self.labels == 0))

    @cached_property
    def compared(self) -> "LabelledScores":
        """The rows that metrics are taken from, without those of rare nominal events, which leave a gap."""
        kept = ~self.is_rare
        if kept.all():
            return self
        return _WithoutRareRows(
            self.timestamps[kept], self.scores[kept], self.labels[kept], self.events, scored=self, kept=kept
        )

    @cached_property
    def events_with_rows(self) -> tuple[Event, ...]:
        """Anomalies with rows in the test data, by start."""
        return self._with_rows(self.events)

    @cached_property
    def rare_with_rows(self) -> tuple[Event, ...]:
        """Rare nominal events with rows in the test data, by start."""
        return self._with_rows(self.rare_nominal)

    def _with_rows(self, events: Sequence[Event]) -> tuple[Event, ...]:
        ordered = sorted(events, key=lambda event: (event.start, event.end, event.id))
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
        return self.peaks(self.event_bounds)

    def peaks(self, bounds: IntArray) -> Float64Array:
        """Return the largest score between each pair of bounds, [pairs], which are rows: [pairs, 2]."""
        # reduceat takes pairs of bounds; the padding makes the end of the data a valid bound.
        padded = np.append(self.scores, -np.inf)
        return np.asarray(np.maximum.reduceat(padded, bounds.ravel())[::2], dtype=np.float64)

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


@dataclass(frozen=True)
class _WithoutRareRows(LabelledScores):
    """The rows that are not of rare nominal events; the time of the others is not observed, however short it is."""

    scored: LabelledScores = field(kw_only=True)  # all rows
    kept: BoolArray = field(kw_only=True)  # which of them these are, [all rows]

    @cached_property
    def _durations(self) -> IntArray:
        return self.scored._durations[self.kept]

    @cached_property
    def before_gap(self) -> BoolArray:
        """Rows before a gap or a rare nominal event, and the last row, [rows]."""
        return np.asarray(self.scored.before_gap | ~np.append(self.kept[1:], True))[self.kept]
