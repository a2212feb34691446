"""The score over time in few points, and its distribution, from one pass over the scores dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.evaluation.result import SCORE_CHANNELS, EvaluationResult
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.smoothing import GAP_FACTOR, NANOSECONDS_PER_DAY

OVERVIEW_BUCKETS = 1_500  # about one for each pixel of the plot
EVENT_BUCKETS = 300
EVENT_POINTS = 60_000  # shared by the lines of all events, which keeps the report small
EVENT_LINES = 4  # the score, and the signals of three channels
EVENT_MARGIN_STEPS = 120  # shown before and after an event at least
HISTOGRAM_BINS = 80
MOST_GAPS = 150  # longest gaps that the time axis leaves out

Times = npt.NDArray[np.int64]  # nanoseconds since 1970 UTC
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """Points to draw; where the value is NaN the line is broken."""

    timestamps: Times  # shape [points]
    values: Floats  # shape [points]


class MinMax:
    """Keeps the smallest and the largest of every few rows, so that no peak is lost, however the rows are cut."""

    def __init__(self, bucket_rows: int) -> None:
        self._bucket_rows = bucket_rows
        self._timestamps: list[Times] = []
        self._values: list[Floats] = []
        self._rest: tuple[Times, Floats] = np.empty(0, dtype=np.int64), np.empty(0)

    def push(self, timestamps: Times, values: npt.NDArray[np.floating]) -> None:
        """Take the next rows."""
        times: Times = np.concatenate([self._rest[0], timestamps])
        scores: Floats = np.concatenate([self._rest[1], values.astype(np.float64)])
        whole = len(scores) - len(scores) % self._bucket_rows
        self._keep(times[:whole].reshape(-1, self._bucket_rows), scores[:whole].reshape(-1, self._bucket_rows))
        self._rest = times[whole:], scores[whole:]

    def line(self, longest_step: int) -> Line:
        """The points kept so far, broken where more than this many nanoseconds lie between them."""
        timestamps, values = self._rest
        if len(values):
            self._keep(timestamps[np.newaxis], values[np.newaxis])
            self._rest = (timestamps[:0], values[:0])
        timestamps = np.concatenate([np.empty(0, dtype=np.int64), *self._timestamps])
        values = np.concatenate([np.empty(0), *self._values])
        gaps = np.flatnonzero(np.diff(timestamps) > longest_step) + 1
        return Line(np.insert(timestamps, gaps, timestamps[gaps - 1]), np.insert(values, gaps, np.nan))

    def _keep(self, timestamps: Times, values: Floats) -> None:
        """Keep the extremes of buckets of shape [buckets, rows], in order of time."""
        if not values.size:
            return
        positions = np.sort([values.argmin(axis=1), values.argmax(axis=1)], axis=0)
        distinct = np.column_stack([np.full(len(values), True), positions[0] != positions[1]])
        self._timestamps.append(np.take_along_axis(timestamps, positions.T, axis=1)[distinct])
        self._values.append(np.take_along_axis(values, positions.T, axis=1)[distinct])


@dataclass(frozen=True)
class Axis:
    """A score axis that is linear around the usual scores and logarithmic beyond: asinh((score - centre) / width)."""

    centre: float  # median validation score
    width: float  # from there to the calibrated threshold

    @classmethod
    def of(cls, result: EvaluationResult) -> "Axis":
        """Fit to the scores."""
        quantiles = result.quantiles
        by_level = dict(zip(quantiles.level, quantiles.val, strict=True))
        centre = by_level[0.5]
        width = max(result.calibrated.threshold - centre, by_level[0.75] - by_level[0.25])
        return cls(centre, width if width > 0 else 1.0)

    def position(self, scores: npt.ArrayLike) -> Floats:
        """From scores to positions on the axis."""
        return np.asarray(np.arcsinh((np.asarray(scores, dtype=np.float64) - self.centre) / self.width))

    def score(self, positions: npt.ArrayLike) -> Floats:
        """From positions on the axis to scores."""
        return np.asarray(np.sinh(positions) * self.width + self.centre)


@dataclass(frozen=True)
class Window:
    """The time shown when the reader chooses an event."""

    start: int  # nanoseconds since 1970 UTC
    end: int  # exclusive
    step: int  # usual time step in nanoseconds
    buckets: int  # of rows, which a line is drawn from

    def collector(self) -> "WindowCollector":
        """Gathers a line of this window."""
        return WindowCollector(self)


class WindowCollector:
    """Gathers a line of a window from rows that come in order of time."""

    def __init__(self, window: Window) -> None:
        bucket_rows = -(-(window.end - window.start) // (window.step * window.buckets))
        self._window = window
        self._min_max = MinMax(bucket_rows)
        self._longest_step = max(GAP_FACTOR, 3 * bucket_rows) * window.step

    def push(self, timestamps: Times, values: npt.NDArray[np.floating]) -> None:
        """Take those of the next rows that lie in the window; missing values are left out."""
        first, stop = np.searchsorted(timestamps, [self._window.start, self._window.end])
        known = np.isfinite(values[first:stop])
        self._min_max.push(timestamps[first:stop][known], values[first:stop][known])

    def line(self) -> Line:
        """The points, broken at gaps."""
        return self._min_max.line(self._longest_step)


def event_windows(result: EvaluationResult) -> tuple[Window, ...]:
    """What is shown of each event: itself, and half of its duration before and after it at least."""
    step = _usual_step(result)
    buckets = min(EVENT_BUCKETS, EVENT_POINTS // (2 * EVENT_LINES * max(len(result.events), 1)))
    windows = []
    for event in result.events:
        margin = max((event.end - event.start) // 2, EVENT_MARGIN_STEPS * step)
        windows.append(Window(event.start - margin, event.end + margin, step, max(buckets, 1)))
    return tuple(windows)


@dataclass(frozen=True)
class Series:
    """What the plots need of the scores dataset."""

    overview: Line
    events: tuple[Line, ...]  # score in the window of each event
    gaps: tuple[tuple[int, int], ...]  # last timestamp before and first after each of the longest gaps
    bin_edges: Floats  # scores, shape [bins + 1], evenly spaced on the axis
    normal: npt.NDArray[np.int64]  # rows per bin, shape [bins]
    anomalous: npt.NDArray[np.int64]


def read_series(scores: Dataset, result: EvaluationResult, axis: Axis, windows: Sequence[Window]) -> Series:
    """Read the scores once, partition by partition."""
    rows = scores.manifest.rows
    step = _usual_step(result)
    bucket_rows = -(-rows // OVERVIEW_BUCKETS)
    longest_step = max(GAP_FACTOR, 3 * bucket_rows) * step  # a gap shorter than a bucket cannot be seen
    overview = MinMax(bucket_rows)
    collectors = [window.collector() for window in windows]
    edges = _bin_edges(result, axis)
    counts = np.zeros((2, HISTOGRAM_BINS), dtype=np.int64)
    gaps = np.empty((0, 2), dtype=np.int64)
    before = np.empty(0, dtype=np.int64)
    for frame in scores.frames():
        smoothed = frame.values[:, SCORE_CHANNELS.index("smoothed_score")]
        overview.push(frame.timestamps, smoothed)
        for collector in collectors:
            collector.push(frame.timestamps, smoothed)
        counts += _histograms(frame, axis.position(smoothed), axis.position(edges))
        gaps = _longest_gaps(gaps, np.concatenate([before, frame.timestamps]), longest_step)
        before = frame.timestamps[-1:]
    return Series(
        overview=overview.line(longest_step),
        events=tuple(collector.line() for collector in collectors),
        gaps=tuple((int(start), int(end)) for start, end in gaps),
        bin_edges=edges,
        normal=counts[0],
        anomalous=counts[1],
    )


def _usual_step(result: EvaluationResult) -> int:
    """Mean time step of the test data in nanoseconds, gaps aside."""
    return max(int(result.counts.observed_days * NANOSECONDS_PER_DAY / result.counts.test_rows), 1)


def _bin_edges(result: EvaluationResult, axis: Axis) -> Floats:
    quantiles = result.quantiles
    low = min(quantiles.test_normal[0], quantiles.test_anomalous[0])
    high = max(quantiles.test_normal[-1], quantiles.test_anomalous[-1])
    first, last = axis.position([low, high]).tolist()
    return axis.score(np.linspace(first, last, HISTOGRAM_BINS + 1))


def _histograms(frame: Frame, positions: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    """Rows per bin, normal ones and anomalous ones, shape [2, bins]; rounding does not push a row out of the range."""
    bins = np.clip(np.searchsorted(edges, positions, side="right") - 1, 0, len(edges) - 2)
    anomalous = np.asarray(frame.labels) == 1
    return np.stack([np.bincount(bins[kind], minlength=len(edges) - 1) for kind in (~anomalous, anomalous)])


def _longest_gaps(known: Times, timestamps: Times, longest_step: int) -> Times:
    """The longest gaps of those known and of further rows, as [gaps, 2] in order of time."""
    last = np.flatnonzero(np.diff(timestamps) > longest_step)
    gaps = np.concatenate([known, np.column_stack([timestamps[last], timestamps[last + 1]])])
    longest = np.argsort(gaps[:, 0] - gaps[:, 1], kind="stable")[:MOST_GAPS]
    return np.asarray(gaps[np.sort(longest)])
