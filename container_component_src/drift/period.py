"""The rows of a period, counted by part of time and bin, in memory that does not grow with their number."""

from collections.abc import Sequence

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.telemetry.distribution import Distribution, pair_up
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY

MOST_PARTS = 512
_SHORTEST = 1_000_000_000  # nanoseconds of a part


class PeriodCounts:
    """Counts the values of several series.

    All parts have the same length, which grows with the period: it lasts at most `MOST_PARTS` parts.

    Args:
        references: The distributions with whose edges the values are compared, one for each series.
    """

    def __init__(self, references: Sequence[Distribution]) -> None:
        self._edges = [np.array(reference.edges) for reference in references]
        self._widths = [len(edges) + 2 for edges in self._edges]  # the last bin has the missing values
        self._ends = np.cumsum(self._widths)
        self.length = _SHORTEST
        self.numbers: IntArray = np.empty(0, dtype=np.int64)  # of the parts with rows, [parts]; see `pair_up`
        self._counts: IntArray = np.empty((0, sum(self._widths)), dtype=np.int64)
        self._sums: Float64Array = np.empty((0, len(references)))
        self.rows = 0
        self.first = np.iinfo(np.int64).max
        self.last = np.iinfo(np.int64).min

    def add(self, timestamps: Timestamps, values: Float32Array | Float64Array) -> None:
        """Count rows, which may come in any order.

        Args:
            timestamps: Shape [rows].
            values: In the units of the references, [rows, series]; missing values are not finite.
        """
        if not len(timestamps):
            return
        self.rows += len(timestamps)
        self.first, self.last = min(self.first, int(timestamps.min())), max(self.last, int(timestamps.max()))
        while self.last // self.length - self.first // self.length >= MOST_PARTS:
            self.length *= 2
            self._sums = pair_up(self.numbers, self._sums)[1]
            self.numbers, self._counts = pair_up(self.numbers, self._counts)
        numbers, part = np.unique(timestamps // self.length, return_inverse=True)
        self._make_room(numbers)
        rows = np.searchsorted(self.numbers, numbers)
        for series in range(len(self._edges)):
            column = values[:, series]
            self.counts(series)[rows] += self._count(part, len(numbers), column, series)
            known = np.where(np.isfinite(column), column, 0)
            self._sums[rows, series] += np.bincount(part, weights=known, minlength=len(numbers))

    def _make_room(self, numbers: IntArray) -> None:
        """Add parts without rows, unless they are known."""
        together = np.union1d(self.numbers, numbers)
        if len(together) > len(self.numbers):
            missing = np.searchsorted(self.numbers, np.setdiff1d(numbers, self.numbers))
            self._counts = np.insert(self._counts, missing, 0, axis=0)
            self._sums = np.insert(self._sums, missing, 0, axis=0)
            self.numbers = together

    def _count(self, part: IntArray, parts: int, values: Float32Array | Float64Array, series: int) -> IntArray:
        """Return the counts of one series by part and bin."""
        width = self._widths[series]
        bins = np.searchsorted(self._edges[series], values)
        bins[~np.isfinite(values)] = width - 1
        return np.bincount(part * width + bins, minlength=parts * width).reshape(parts, width)

    def counts(self, series: int) -> IntArray:
        """Return the counts of a series by part, [parts, edges + 2].

        The bins are below the first edge, between the edges, above the last one, and the missing values.
        """
        end = int(self._ends[series])
        return self._counts[:, end - self._widths[series] : end]

    def means(self, series: int) -> Float64Array:
        """Return the mean of a series in each part, in the units of its reference, [parts]; NaN without a value."""
        rows = self.counts(series)[:, :-1].sum(axis=1)
        return np.where(rows > 0, self._sums[:, series] / np.maximum(rows, 1), np.nan)

    def start_of(self, part: int) -> int:
        """Return the start of a part in nanoseconds, at the earliest the first row."""
        return max(int(self.numbers[part]) * self.length, self.first)

    def days(self, counts: IntArray) -> float:
        """Return the length of the parts in which a series has values, of its counts as in `counts`."""
        return float((counts[:, :-1].sum(axis=1) > 0).sum() * self.length / NANOSECONDS_PER_DAY)
