"""Smoothing of scores over time, which looks back only and restarts after every gap."""

import math

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, IntArray, Timestamps
from container_component_src.errors import InputError
from container_component_src.steps.calibration import Smoothing
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


def row_durations(timestamps: Timestamps, max_gap_ns: int | None) -> IntArray:
    """Return the nanoseconds from each row to the next, [rows]; a median time step before a gap and after the last row.

    Args:
        timestamps: Shape [rows], ascending.
        max_gap_ns: Result of `default_max_gap`; None: there are no gaps, and nothing is known after the last row.
    """
    steps = np.diff(timestamps, append=timestamps[-1:])
    if max_gap_ns is not None:
        usual = max_gap_ns // GAP_FACTOR
        steps[steps > max_gap_ns] = usual
        steps[-1:] = usual
    return steps


class Smoother:
    """Smooths the scores of a dataset, which is given in consecutive pieces.

    The mean and the median are taken over each score and the previous ones, at most `window` rows and never across a
    gap. At the start of the data and after a gap there are fewer rows. The exponential smoothing starts there with the
    score itself, and then each score `x` changes the smoothed score `y` by `2 / (window + 1) * (x - y)` (Brown 1956,
    "Exponential Smoothing for Predicting Demand"). Scores whose weight is below the precision of float64 are left out.
    The result does not depend on the pieces, to the last bit.

    Args:
        method: How the scores are combined; `none` does not change them, whatever the window.
        window: Rows, with the present one; 1 does not change the scores.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.

    Attributes:
        window: Rows of the window; 1 if scores do not change.

    Raises:
        InputError: The window is below 1.
    """

    def __init__(self, method: Smoothing, window: int, max_gap_ns: int | None) -> None:
        if window < 1:
            raise InputError(f"smoothing window {window} is below 1", fix="use 1 for no smoothing")
        self.window = 1 if method is Smoothing.NONE else window
        self._method = method
        self._max_gap_ns = max_gap_ns
        self._context: Context[np.float64] = Context(self.context_rows)

    @property
    def context_rows(self) -> int:
        """Number of previous rows on which a smoothed score depends."""
        if self._method is not Smoothing.EXPONENTIAL or self.window == 1:
            return self.window - 1
        return _exponential_rows(self.window)

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
        if self.window == 1:
            return np.array(scores, dtype=np.float64)
        all_timestamps, all_scores, known = self._context.extend(timestamps, np.asarray(scores, np.float64))
        smoothed = smooth(all_scores, segment_starts(all_timestamps, self._max_gap_ns), self._method, self.window)
        return smoothed[known:]


def smooth(values: Float64Array, starts: IntArray, method: Smoothing, window: int) -> Float64Array:
    """Return smoothed values, each column by itself; see `Smoother`.

    Args:
        values: Shape [rows] or [rows, columns]; the median takes one column.
        starts: Position of the first row of each row's segment, shape [rows].
        method: How the values are combined.
        window: Rows, with the present one.
    """
    if method is Smoothing.NONE or window == 1 or not len(values):
        return values
    if method is Smoothing.MEDIAN:
        from container_component_src.telemetry.rolling import segment_median  # noqa: PLC0415 - needs pandas

        return segment_median(values, starts, window)
    return (segment_mean if method is Smoothing.MEAN else segment_exponential)(values, starts, window)


def segment_mean(values: Float64Array, starts: IntArray, window: int) -> Float64Array:
    """Return the mean of each value and the previous ones of its segment, at most `window` values."""
    since_start = np.arange(len(values)) - starts
    counts = np.minimum(since_start + 1, window).astype(np.float64)
    total = _weighted_sums(values, since_start, window)
    total /= counts.reshape(-1, *(1,) * (values.ndim - 1))
    return total


def segment_exponential(values: Float64Array, starts: IntArray, window: int) -> Float64Array:
    """Return values that are smoothed exponentially with the weight `2 / (window + 1)` of a new one."""
    weight, since_start = 2 / (window + 1), np.arange(len(values)) - starts
    weights = np.where(since_start, weight, 1.0)  # the first value of a segment stands for all before it
    weighted = values * weights.reshape(-1, *(1,) * (values.ndim - 1))
    return _weighted_sums(weighted, since_start, _exponential_rows(window), 1 - weight)


def _exponential_rows(window: int) -> int:
    """Return the age in rows at which an exponential weight is below the precision of float64."""
    return math.ceil(math.log(np.finfo(np.float64).eps) / math.log((window - 1) / (window + 1)))


def _weighted_sums(values: Float64Array, since_start: IntArray, window: int, decay: float = 1.0) -> Float64Array:
    """Return the sums of each value and the previous ones of its segment, at most `window` values.

    Each sum is that of its own values, in an order that depends on the window alone: differences of running sums would
    lose the digits after a huge value. Sums over 1, 2, 4, ... rows make it quick.

    Args:
        values: Shape [rows] or [rows, columns].
        since_start: Rows since the start of the segment, [rows].
        window: Most values of a sum.
        decay: Weight of a value, as a multiple of that of the next one.
    """

    def add_earlier(target: Float64Array, sums: Float64Array, shift: int) -> None:
        """Add the sums that end `shift` rows before each row, where this is in its segment."""
        outside = np.flatnonzero(since_start < shift)
        unchanged = target[outside]
        earlier = sums[: max(0, len(sums) - shift)]
        target[shift:] += earlier if decay == 1 else decay**shift * earlier
        target[outside] = unchanged

    total, covered = np.zeros_like(values), 0
    sums, size = values, 1  # over the last `size` rows
    while True:
        if window & size:
            add_earlier(total, sums, covered)
            covered += size
        if covered == window:
            return total
        shorter = sums
        sums = shorter.copy()
        add_earlier(sums, shorter, size)
        size *= 2


def segment_starts(timestamps: Timestamps, max_gap_ns: int | None) -> IntArray:
    """Return for every row the position of the first row after the last gap before it, shape [rows]."""
    rows = len(timestamps)
    starts = np.zeros(rows, dtype=np.int64)
    if max_gap_ns is not None and rows:
        after_gap = np.flatnonzero(np.diff(timestamps) > max_gap_ns) + 1
        starts[after_gap] = after_gap
    return np.maximum.accumulate(starts)
