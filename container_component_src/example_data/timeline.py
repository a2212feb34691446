"""Times of the rows of an archive: a constant interval with gaps, as a function of the row number."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from container_component_src.arrays import IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.example_data.seeding import stream

MAX_INTERVAL_MS = 60_000
GAPS_PER_ARCHIVE = 7
NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Timeline:
    """Times of the rows of one archive.

    Attributes:
        start_ns: Time of row 0, nanoseconds since 1970-01-01 UTC.
        interval_ns: Time between consecutive rows outside gaps, nanoseconds.
        rows: Number of rows.
        gap_rows: First row after each gap, ascending, shape [gaps].
        skipped: Cumulative number of missing samples before each of `gap_rows`, shape [gaps].
    """

    start_ns: int
    interval_ns: int
    rows: int
    gap_rows: IntArray
    skipped: IntArray

    def times_ns(self, rows: IntArray) -> Timestamps:
        """Return the times of rows, nanoseconds since 1970-01-01 UTC, same shape."""
        gaps_before = np.searchsorted(self.gap_rows, rows, side="right")
        shift = np.concatenate([[0], self.skipped])[gaps_before]
        return np.asarray(self.start_ns + (rows + shift) * self.interval_ns, dtype=np.int64)

    @property
    def end_ns(self) -> int:
        """Time of the last row, nanoseconds since 1970-01-01 UTC."""
        return int(self.times_ns(np.array([self.rows - 1]))[0])


def plan_timeline(seed: int, year: int, rows: int) -> Timeline:
    """Return the times of `rows` rows that fill a year, or its beginning at an interval of 60 s.

    Raises:
        InputError: There are more rows than milliseconds in the year.
    """
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    # Rounding of gaps to whole samples must not exceed the year.
    year_ms = (end - start).total_seconds() * 1000 * 0.999
    span_ms = min(year_ms, rows * MAX_INTERVAL_MS)
    rng = stream(seed, "gaps", year)
    gaps_ms = np.minimum(np.exp(rng.uniform(np.log(5 * 60e3), np.log(24 * 3600e3), GAPS_PER_ARCHIVE)), 0.01 * span_ms)
    interval_ms = min(MAX_INTERVAL_MS, int((year_ms - gaps_ms.sum()) // rows))
    if interval_ms < 1:
        raise InputError(f"rows: {rows} in year {year} are closer than 1 ms", fix="request fewer rows or more years")
    gap_rows = np.sort(
        rng.choice(
            np.arange(1, GAPS_PER_ARCHIVE * 20) * rows // (GAPS_PER_ARCHIVE * 20), GAPS_PER_ARCHIVE, replace=False
        )
    )
    samples = np.maximum(2, np.round(gaps_ms / interval_ms)).astype(np.int64)
    return Timeline(
        start_ns=int(start.timestamp()) * 1000 * NS_PER_MS,
        interval_ns=interval_ms * NS_PER_MS,
        rows=rows,
        gap_rows=gap_rows.astype(np.int64),
        skipped=np.cumsum(samples),
    )
