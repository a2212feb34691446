"""Smoothing of scores over time by a causal rolling median that restarts after every gap."""

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.telemetry.series import Context

NANOSECONDS_PER_SECOND = 10**9
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
GAP_FACTOR = 10  # a time step that is longer than this many median ones is a gap
GAP_SAMPLE = 100_000  # time steps at the start of a dataset of which the median is taken

Scores = Float32Array | Float64Array  # nats, shape [rows]; larger = more abnormal


def median_step(timestamps: Timestamps) -> int | None:
    """Return the median of the first `GAP_SAMPLE` time steps in nanoseconds; None for fewer than two rows."""
    if len(timestamps) < 2:
        return None
    return int(np.median(np.diff(timestamps[: GAP_SAMPLE + 1])))


def default_max_gap(timestamps: Timestamps) -> int | None:
    """Return the longest time step in nanoseconds that is not a gap; None for fewer than two rows."""
    step = median_step(timestamps)
    return None if step is None else GAP_FACTOR * step


class Smoother:
    """Causal rolling median of the scores of a dataset, which is given in consecutive pieces.

    The median is taken over each score and the previous ones, at most `window` rows and never across a gap. At the
    start of the data and after a gap there are fewer rows. The median does not rise for an event of fewer than about
    `window / 2` rows, and alarms are delayed by about `window / 2` rows. The result does not depend on the pieces.

    Args:
        window: Rows of the median, with the present one; 1 does not change the scores.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.

    Raises:
        InputError: The window is below 1.
    """

    def __init__(self, window: int, max_gap_ns: int | None) -> None:
        if window < 1:
            raise InputError(f"smoothing window {window} is below 1", fix="use 1 for no smoothing")
        self._window = window
        self._max_gap_ns = max_gap_ns
        self._context: Context[np.float64] = Context(window - 1)

    def push(self, timestamps: Timestamps, scores: Scores) -> Float64Array:
        """Return the smoothed scores of the next rows, shape [rows].

        Args:
            timestamps: Shape [rows], ascending.
            scores: Shape [rows].

        Raises:
            InputError: The arrays differ in length.
        """
        if len(timestamps) != len(scores):
            raise InputError(f"{len(timestamps)} timestamps for {len(scores)} scores", fix="give one of each per row")
        if self._window == 1:
            return np.array(scores, dtype=np.float64)
        all_timestamps, all_scores, known = self._context.extend(timestamps, np.asarray(scores, np.float64))
        return self._median(all_timestamps, all_scores)[known:]

    def _median(self, timestamps: Timestamps, scores: Float64Array) -> Float64Array:
        if not len(scores):
            return scores
        from container_component_src.telemetry.rolling import segment_median  # noqa: PLC0415 - needs pandas

        return segment_median(scores, segment_starts(timestamps, self._max_gap_ns), self._window)


def segment_starts(timestamps: Timestamps, max_gap_ns: int | None) -> IntArray:
    """Return for every row the position of the first row after the last gap before it, shape [rows]."""
    rows = len(timestamps)
    starts = np.zeros(rows, dtype=np.int64)
    if max_gap_ns is not None and rows:
        after_gap = np.flatnonzero(np.diff(timestamps) > max_gap_ns) + 1
        starts[after_gap] = after_gap
    return np.maximum.accumulate(starts)
