"""Smoothing of scores over time: a causal rolling median that starts anew after every gap."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.indexers import BaseIndexer

from container_component_src.errors import InputError

NANOSECONDS_PER_SECOND = 10**9
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
GAP_FACTOR = 10  # a time step longer than this many usual ones is a gap
GAP_SAMPLE = 100_000  # time steps at the start of a dataset that tell its usual one

Scores = npt.NDArray[np.floating]  # shape [rows], larger = more abnormal
Timestamps = npt.NDArray[np.int64]  # nanoseconds since 1970 UTC, ascending, shape [rows]


def median_step(timestamps: Timestamps) -> int | None:
    """The usual time step in nanoseconds: the median of the first `GAP_SAMPLE` steps; None for fewer than two rows."""
    if len(timestamps) < 2:
        return None
    return int(np.median(np.diff(timestamps[: GAP_SAMPLE + 1])))


def default_max_gap(timestamps: Timestamps) -> int | None:
    """The longest time step in nanoseconds that is not a gap, or None for fewer than two rows."""
    step = median_step(timestamps)
    return None if step is None else GAP_FACTOR * step


def smooth(
    timestamps: Timestamps, scores: Scores, window: int, max_gap_ns: int | None = None
) -> npt.NDArray[np.float64]:
    """Median of each score and those before it, over at most `window` rows and never across a gap.

    At the start of the data and after a gap the window holds the rows there are. An event of fewer than about half a
    window of rows cannot lift the median, and an alarm comes about half a window late.

    Args:
        timestamps: Shape [rows].
        scores: Shape [rows].
        window: Steps that the median covers, the row itself included; 1 leaves the scores as they are.
        max_gap_ns: Longest time step that is not a gap; by default ten times the median step.

    Returns:
        Smoothed scores, shape [rows].

    Raises:
        InputError: The arrays differ in length, or the window is below 1.
    """
    gap = default_max_gap(timestamps) if max_gap_ns is None else max_gap_ns
    return Smoother(window, gap).push(timestamps, scores)


class Smoother:
    """Does what `smooth` does to a dataset that comes in parts, with the same result however it is cut.

    Args:
        window: Steps that the median covers, the row itself included.
        max_gap_ns: Longest time step that is not a gap; None where no step is one.

    Raises:
        InputError: The window is below 1.
    """

    def __init__(self, window: int, max_gap_ns: int | None) -> None:
        if window < 1:
            raise InputError(f"smoothing window {window} is below 1; use 1 for no smoothing")
        self._window = window
        self._max_gap_ns = max_gap_ns
        self._timestamps = np.empty(0, dtype=np.int64)  # the last rows before the next part
        self._scores = np.empty(0, dtype=np.float64)

    def push(self, timestamps: Timestamps, scores: Scores) -> npt.NDArray[np.float64]:
        """Smooth the next rows, shape [rows].

        Raises:
            InputError: The arrays differ in length.
        """
        if len(timestamps) != len(scores):
            raise InputError(f"{len(timestamps)} timestamps do not fit {len(scores)} scores; give one of each per row")
        if self._window == 1:
            return np.array(scores, dtype=np.float64)
        known = len(self._scores)
        all_timestamps = np.concatenate([self._timestamps, timestamps])
        all_scores = np.concatenate([self._scores, scores])
        smoothed = self._median(all_timestamps, all_scores)[known:]
        self._timestamps = all_timestamps[-(self._window - 1) :]
        self._scores = all_scores[-(self._window - 1) :]
        return smoothed

    def _median(self, timestamps: Timestamps, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if not len(scores):
            return scores
        indexer = _SegmentWindows(segment_starts(timestamps, self._max_gap_ns), self._window)
        return pd.Series(scores).rolling(indexer, min_periods=1).median().to_numpy(dtype=np.float64)


def segment_starts(timestamps: Timestamps, max_gap_ns: int | None) -> npt.NDArray[np.int64]:
    """For every row the position of the first row of its gapless segment, shape [rows]."""
    rows = len(timestamps)
    starts = np.zeros(rows, dtype=np.int64)
    if max_gap_ns is not None and rows:
        after_gap = np.flatnonzero(np.diff(timestamps) > max_gap_ns) + 1
        starts[after_gap] = after_gap
    return np.maximum.accumulate(starts)


class _SegmentWindows(BaseIndexer):
    """The last `window` rows of a row's own segment."""

    def __init__(self, starts: npt.NDArray[np.int64], window: int) -> None:
        super().__init__()
        self._starts = starts
        self._window = window

    def get_window_bounds(
        self,
        num_values: int = 0,
        min_periods: int | None = None,
        center: bool | None = None,
        closed: str | None = None,
        step: int | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Half-open bounds of every row's window."""
        ends = np.arange(1, num_values + 1, dtype=np.int64)
        return np.maximum(self._starts, ends - self._window), ends
