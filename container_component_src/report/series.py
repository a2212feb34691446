"""Downsampled series of the scores and their histogram, from one pass over the scores dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.alarms.alarm import Alarm
from container_component_src.arrays import Float64Array, IntArray, Timestamps
from container_component_src.evaluation.expected import MOST_CHANNELS, margin
from container_component_src.evaluation.result import SCORE_CHANNELS, EvaluationResult
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.events import inside_any
from container_component_src.telemetry.smoothing import GAP_FACTOR, NANOSECONDS_PER_DAY

OVERVIEW_BUCKETS = 1_500  # about one for each pixel of the plot
BUCKETS = 300  # of the lines of a window
EVENT_POINTS = 60_000  # of the lines of all events together, which keeps the report small
EVENT_LINES = 1 + MOST_CHANNELS  # the score, and the signals of the channels that moved
ALARM_POINTS = 30_000  # of the lines of all alarms together
HISTOGRAM_BINS = 80
MOST_GAPS = 150  # the longest gaps, which the time axis leaves out


@dataclass(frozen=True)
class Line:
    """Points to draw; a NaN breaks the line."""

    timestamps: Timestamps  # [points]
    values: Float64Array  # [points], or [points, columns]

    @classmethod
    def broken(cls, timestamps: Timestamps, values: Float64Array, longest_step: int) -> "Line":
        """Return the points with a break at each step longer than this many nanoseconds."""
        gaps = np.flatnonzero(np.diff(timestamps) > longest_step) + 1
        return cls(np.insert(timestamps, gaps, timestamps[gaps - 1]), np.insert(values, gaps, np.nan, axis=0))


class MinMaxDownsampler:
    """Keeps the minimum and the maximum of every bucket of rows; the result does not depend on the partitioning."""

    def __init__(self, bucket_rows: int) -> None:
        self._bucket_rows = bucket_rows
        self._timestamps: list[Timestamps] = []
        self._values: list[Float64Array] = []
        self._rest: tuple[Timestamps, Float64Array] = np.empty(0, dtype=np.int64), np.empty(0)

    def push(self, timestamps: Timestamps, values: npt.NDArray[np.floating]) -> None:
        """Add the next rows, [rows] each."""
        times: Timestamps = np.concatenate([self._rest[0], timestamps])
        points: Float64Array = np.concatenate([self._rest[1], values.astype(np.float64)])
        full = len(points) - len(points) % self._bucket_rows
        self._keep(times[:full].reshape(-1, self._bucket_rows), points[:full].reshape(-1, self._bucket_rows))
        self._rest = times[full:], points[full:]

    def line(self, longest_step: int) -> Line:
        """Return the kept points, with a break at each step longer than this many nanoseconds."""
        timestamps, values = self._rest
        if len(values):
            self._keep(timestamps[np.newaxis], values[np.newaxis])
            self._rest = (timestamps[:0], values[:0])
        timestamps = np.concatenate([np.empty(0, dtype=np.int64), *self._timestamps])
        values = np.concatenate([np.empty(0), *self._values])
        return Line.broken(timestamps, values, longest_step)

    def _keep(self, timestamps: Timestamps, values: Float64Array) -> None:
        """Keep the extremes of buckets [buckets, rows] in order of time."""
        if not values.size:
            return
        positions = np.sort([values.argmin(axis=1), values.argmax(axis=1)], axis=0)
        distinct = np.column_stack([np.full(len(values), True), positions[0] != positions[1]])
        self._timestamps.append(np.take_along_axis(timestamps, positions.T, axis=1)[distinct])
        self._values.append(np.take_along_axis(values, positions.T, axis=1)[distinct])


@dataclass(frozen=True)
class ScoreAxis:
    """Compressed score axis asinh((score - centre) / width): linear around typical scores, logarithmic beyond."""

    centre: float  # median validation score, nats
    width: float  # distance from the centre to the calibrated threshold, nats

    @classmethod
    def of(cls, result: EvaluationResult) -> "ScoreAxis":
        """Return the axis that fits the scores of an evaluation."""
        quantiles = result.quantiles
        by_level = dict(zip(quantiles.level, quantiles.calibration, strict=True))
        centre = by_level[0.5]
        width = max(result.calibrated.threshold - centre, by_level[0.75] - by_level[0.25])
        return cls(centre, width if width > 0 else 1.0)

    def position(self, scores: npt.ArrayLike) -> Float64Array:
        """Convert scores to positions on the axis."""
        return np.asarray(np.arcsinh((np.asarray(scores, dtype=np.float64) - self.centre) / self.width))

    def score(self, positions: npt.ArrayLike) -> Float64Array:
        """Convert positions on the axis to scores."""
        return np.asarray(np.sinh(positions) * self.width + self.centre)


@dataclass(frozen=True)
class Window:
    """Time range that the plots show when the reader selects an event or alarm."""

    start: int  # nanoseconds since 1970 UTC
    end: int  # exclusive
    step: int  # mean time step in nanoseconds
    buckets: int  # maximum number of buckets of a line


class WindowLine:
    """Line of a window, collected from rows in order of time."""

    def __init__(self, window: Window) -> None:
        bucket_rows = -(-(window.end - window.start) // (window.step * window.buckets))
        self._window = window
        self._downsampler = MinMaxDownsampler(bucket_rows)
        self._longest_step = max(GAP_FACTOR, 3 * bucket_rows) * window.step

    def push(self, timestamps: Timestamps, values: npt.NDArray[np.floating]) -> None:
        """Add the next rows, [rows] each; rows outside the window and missing values are ignored."""
        first, stop = np.searchsorted(timestamps, [self._window.start, self._window.end])
        if first == stop:
            return
        known = np.isfinite(values[first:stop])
        self._downsampler.push(timestamps[first:stop][known], values[first:stop][known])

    def line(self) -> Line:
        """Return the points, with breaks at gaps."""
        return self._downsampler.line(self._longest_step)


def event_windows(result: EvaluationResult, alarms: Sequence[Alarm] = ()) -> tuple[Window, ...]:
    """Return the window of each event: the event and its alarms, with at least half of its duration on both sides.

    Alarms widen the window up to the event's duration, so that their start and end are in view.
    """
    step = _mean_step(result)
    windows = []
    for event in result.events:
        beyond = margin(event.start, event.end, step)
        own = [alarm for alarm in alarms if event.id in (alarm.events or ())]
        start = max(min([event.start, *(alarm.start for alarm in own)]), event.start - 2 * beyond)
        end = min(max([event.end, *(alarm.end for alarm in own)]), event.end + 2 * beyond)
        windows.append((start - beyond, end + beyond))
    return _windows(windows, step, EVENT_POINTS // EVENT_LINES)


def alarm_windows(result: EvaluationResult, alarms: Sequence[Alarm]) -> tuple[Window, ...]:
    """Return the window of each alarm: the alarm, and at least half of its duration before and after it."""
    step = _mean_step(result)
    margins = [margin(alarm.start, alarm.end, step) for alarm in alarms]
    spans = [(alarm.start - beyond, alarm.end + beyond) for alarm, beyond in zip(alarms, margins, strict=True)]
    return _windows(spans, step, ALARM_POINTS)


def _windows(spans: Sequence[tuple[int, int]], step: int, points: int) -> tuple[Window, ...]:
    """Return the windows of spans, whose lines have so many points together; a bucket has two."""
    buckets = max(1, min(BUCKETS, points // (2 * max(len(spans), 1))))
    return tuple(Window(start, end, step, buckets) for start, end in spans)


@dataclass(frozen=True)
class Series:
    """Data of the score plots."""

    overview: Line
    windows: tuple[Line, ...]  # score in each window
    gaps: tuple[tuple[int, int], ...]  # last timestamp before and first after each of the longest gaps
    bin_edges: Float64Array  # [bins + 1] scores, evenly spaced on the compressed axis
    normal: IntArray  # [bins] normal rows
    anomalous: IntArray  # [bins] anomalous rows


def read_series(scores: Dataset, result: EvaluationResult, axis: ScoreAxis, windows: Sequence[Window]) -> Series:
    """Read the scores once, partition by partition."""
    step = _mean_step(result)
    bucket_rows = -(-scores.manifest.rows // OVERVIEW_BUCKETS)
    longest_step = max(GAP_FACTOR, 3 * bucket_rows) * step  # a gap shorter than a bucket is not visible
    overview = MinMaxDownsampler(bucket_rows)
    lines = [WindowLine(window) for window in windows]
    edges = _bin_edges(result, axis)
    counts = np.zeros((2, HISTOGRAM_BINS), dtype=np.int64)
    gaps = np.empty((0, 2), dtype=np.int64)
    before = np.empty(0, dtype=np.int64)
    for frame in scores.frames():
        smoothed = frame.values[:, SCORE_CHANNELS.index("smoothed_score")]
        overview.push(frame.timestamps, smoothed)
        for line in lines:
            line.push(frame.timestamps, smoothed)
        compared = ~inside_any(frame.timestamps, scores.manifest.rare_nominal) | (frame.labels == 1)
        counts += _histograms(frame.where(compared), axis.position(smoothed[compared]), axis.position(edges))
        gaps = _longest_gaps(gaps, np.concatenate([before, frame.timestamps]), longest_step)
        before = frame.timestamps[-1:]
    return Series(
        overview=overview.line(longest_step),
        windows=tuple(line.line() for line in lines),
        gaps=tuple((int(start), int(end)) for start, end in gaps),
        bin_edges=edges,
        normal=counts[0],
        anomalous=counts[1],
    )


def _mean_step(result: EvaluationResult) -> int:
    """Return the mean time step of the test data without gaps, in nanoseconds."""
    return max(int(result.counts.observed_days * NANOSECONDS_PER_DAY / result.counts.test_rows), 1)


def _bin_edges(result: EvaluationResult, axis: ScoreAxis) -> Float64Array:
    quantiles = result.quantiles
    low = min(quantiles.test_normal[0], quantiles.test_anomalous[0])
    high = max(quantiles.test_normal[-1], quantiles.test_anomalous[-1])
    first, last = axis.position([low, high]).tolist()
    return axis.score(np.linspace(first, last, HISTOGRAM_BINS + 1))


def _histograms(frame: Frame, positions: Float64Array, edges: Float64Array) -> IntArray:
    """Return the normal and the anomalous rows per bin, [2, bins]; rounding moves no row out of the range."""
    bins = np.clip(np.searchsorted(edges, positions, side="right") - 1, 0, len(edges) - 2)
    anomalous = np.asarray(frame.labels) == 1
    return np.stack([np.bincount(bins[rows], minlength=len(edges) - 1) for rows in (~anomalous, anomalous)])


def _longest_gaps(known: Timestamps, timestamps: Timestamps, longest_step: int) -> Timestamps:
    """Return the longest of the known gaps and those of further rows, [gaps, 2] in order of time."""
    last = np.flatnonzero(np.diff(timestamps) > longest_step)
    gaps = np.concatenate([known, np.column_stack([timestamps[last], timestamps[last + 1]])])
    longest = np.argsort(gaps[:, 0] - gaps[:, 1], kind="stable")[:MOST_GAPS]
    return np.asarray(gaps[np.sort(longest)])
