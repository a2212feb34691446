"""Evaluation of a model bundle: scores of the validation and test data, and how well they tell anomalies apart."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from container_component_src.errors import InputError
from container_component_src.evaluation.bootstrap import resample
from container_component_src.evaluation.comparison import Comparison
from container_component_src.evaluation.curves import curve_over_threshold, pr_curve, roc_curve
from container_component_src.evaluation.metrics import (
    LabelledScores,
    at_threshold,
    pr_auc,
    roc_auc,
    threshold_curve,
)
from container_component_src.evaluation.result import (
    SCORE_CHANNELS,
    BaselineResult,
    ChannelExcess,
    Counts,
    EvaluationResult,
    EventResult,
    Interval,
    Quantiles,
    ThresholdMetrics,
)
from container_component_src.model.bundle import Bundle
from container_component_src.model.scoring import SeriesScorer
from container_component_src.telemetry.dataset import Dataset, Frame, to_iso
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.smoothing import Smoother

TOP_CHANNELS = 5
MEDIAN_ROWS = 20_000  # validation rows, evenly spread, from which the usual part of each channel is taken
QUANTILE_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)

Contributions = npt.NDArray[np.float32]  # nats of each channel, shape [rows, channels]
Columns = npt.NDArray[np.float32]  # score and smoothed score, shape [rows, 2]

_log = logging.getLogger(__name__)


def evaluate(
    bundle_uri: str, val_uri: str, test_uri: str, scores_out_uri: str, train_uri: str = ""
) -> EvaluationResult:
    """Score the validation and test data and judge the scores of the latter.

    All are read partition by partition; of the test data a few scores a row stay in memory.

    Args:
        bundle_uri: The model bundle.
        val_uri: Scaled validation dataset.
        test_uri: Scaled, labelled test dataset.
        scores_out_uri: Where the dataset with the scores of the test rows goes.
        train_uri: Scaled training dataset, which the baselines are fitted on; without it there are none.

    Raises:
        InputError: An input is absent or damaged, the channels do not fit the model, or the labels are degenerate.
    """
    bundle = Bundle.load(bundle_uri)
    val, test = Dataset.open(val_uri), Dataset.open(test_uri)
    train = Dataset.open(train_uri) if train_uri else None
    for dataset in filter(None, (train, val, test)):
        _check_fits(bundle, dataset)
    if not test.manifest.labelled:
        raise InputError(f"{test_uri}: the test data has no labels; name the test dataset of the split step")
    _log.info("scoring %d validation and %d test rows", val.manifest.rows, test.manifest.rows)
    val_smoothed, usual_contributions = _score_validation(bundle, val)
    event_contributions = EventContributions(test.manifest.events, len(test.channels))
    sources = [val.location, test.location]
    with DatasetWriter(scores_out_uri, test.manifest.timestamp_col, SCORE_CHANNELS, sources=sources) as writer:
        test_smoothed = _write_scores(writer, _score_test(bundle, test, event_contributions))
        labelled = LabelledScores(*test_smoothed, test.manifest.events)
        scores = writer.commit(events=test.manifest.events, notes={"threshold": bundle.info.thresholds.score})
    thresholds, seed = bundle.info.thresholds, bundle.info.seed
    resamples = resample(labelled, thresholds.score, seed)
    comparison = Comparison(train, val, test, labelled, resamples, thresholds, seed) if train else None
    return _judge(
        bundle,
        scores,
        labelled,
        val_smoothed,
        top_channels=event_contributions.top_channels(test.channels, usual_contributions),
        intervals=resamples.intervals() if resamples else {},
        baselines=comparison.run() if comparison else (),
    )


@dataclass
class EventContributions:
    """Sums up what each channel adds to the score during each event."""

    events: Sequence[Event]
    channels: int
    _sums: npt.NDArray[np.float64] = field(init=False)  # shape [events, channels]
    _rows: npt.NDArray[np.int64] = field(init=False)  # shape [events]

    def __post_init__(self) -> None:
        self._sums = np.zeros((len(self.events), self.channels))
        self._rows = np.zeros(len(self.events), dtype=np.int64)

    def add(self, timestamps: npt.NDArray[np.int64], contributions: Contributions) -> None:
        """Take the next rows into account."""
        for position, event in enumerate(self.events):
            first, stop = np.searchsorted(timestamps, [event.start, event.end])
            if first < stop:
                self._sums[position] += contributions[first:stop].sum(axis=0, dtype=np.float64)
                self._rows[position] += stop - first

    def top_channels(
        self, names: Sequence[str], usual_contributions: npt.NDArray[np.float64]
    ) -> dict[Event, tuple[ChannelExcess, ...]]:
        """Per event with rows the channels with the largest mean excess over their usual part (nats, [channels])."""
        top: dict[Event, tuple[ChannelExcess, ...]] = {}
        for event, total, rows in zip(self.events, self._sums, self._rows, strict=True):
            if rows:
                excess = total / rows - usual_contributions
                largest = np.argsort(-excess, kind="stable")[:TOP_CHANNELS]
                top[event] = tuple(ChannelExcess(channel=names[i], excess=float(excess[i])) for i in largest)
        return top


def _check_fits(bundle: Bundle, dataset: Dataset) -> None:
    bundle.check_channels(dataset.channels)
    if dataset.manifest.scaler != bundle.info.scaler:
        raise InputError(
            f"{dataset.location.uri}: scaled in another way than the model's training data; scale it with its scaler"
        )


def _score_validation(bundle: Bundle, val: Dataset) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Smoothed scores, shape [rows], and the median part of each channel, shape [channels]."""
    smoother, scorer = _smoother(bundle), _scorer(bundle)
    stride = -(-val.manifest.rows // MEDIAN_ROWS)
    smoothed, sample, offset = [], [], 0
    for frame in val.frames():
        contributions = _finite_contributions(scorer, val, frame)
        smoothed.append(smoother.push(frame.timestamps, contributions.sum(axis=1)).astype(np.float32))
        sample.append(
            contributions[-offset % stride :: stride].copy()
        )  # every stride-th row of the whole, wherever it is cut
        offset += len(frame)
    return np.concatenate(smoothed), np.median(np.concatenate(sample), axis=0).astype(np.float64)


def _score_test(bundle: Bundle, test: Dataset, event_contributions: EventContributions) -> Iterator[Frame]:
    """The test rows with score and smoothed score in place of the channels."""
    smoother, scorer = _smoother(bundle), _scorer(bundle)
    for frame in test.frames():
        contributions = _finite_contributions(scorer, test, frame)
        event_contributions.add(frame.timestamps, contributions)
        scores = contributions.sum(axis=1)
        columns = np.stack([scores, smoother.push(frame.timestamps, scores)], axis=1).astype(np.float32)
        yield Frame(frame.timestamps, columns, frame.labels)


def _write_scores(
    writer: DatasetWriter, frames: Iterator[Frame]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Write frames of scores and keep the timestamps, smoothed scores and labels, each of shape [rows]."""
    timestamps, smoothed, labels = [], [], []
    for frame in frames:
        writer.write(frame)
        timestamps.append(frame.timestamps)
        smoothed.append(frame.values[:, SCORE_CHANNELS.index("smoothed_score")])
        labels.append(np.asarray(frame.labels, dtype=np.int8))
    return np.concatenate(timestamps), np.concatenate(smoothed), np.concatenate(labels)


def _smoother(bundle: Bundle) -> Smoother:
    return Smoother(bundle.info.thresholds.smoothing_window, bundle.info.thresholds.max_gap_ns)


def _scorer(bundle: Bundle) -> SeriesScorer:
    return SeriesScorer(bundle.model, bundle.info.thresholds.max_gap_ns)


def _finite_contributions(scorer: SeriesScorer, dataset: Dataset, frame: Frame) -> Contributions:
    contributions = scorer.push(frame.timestamps, frame.values)
    bad = np.flatnonzero(~np.isfinite(contributions).all(axis=1))
    if len(bad):
        row = int(bad[0])
        values = frame.values[row]
        # One missing value spoils the contributions of all channels.
        channel = int(np.argmin(np.isfinite(values if not np.isfinite(values).all() else contributions[row])))
        raise InputError(
            f"{dataset.location.uri}: the model gives no finite score for {to_iso(int(frame.timestamps[row]))}, where "
            f"channel '{dataset.channels[channel]}' is {values[channel]}; scale the data, which fills missing values"
        )
    return contributions


def _judge(
    bundle: Bundle,
    scores: Dataset,
    labelled: LabelledScores,
    val_smoothed: npt.NDArray[np.float32],
    *,
    top_channels: dict[Event, tuple[ChannelExcess, ...]],
    intervals: dict[str, Interval],
    baselines: tuple[BaselineResult, ...],
) -> EvaluationResult:
    calibrated = at_threshold(labelled, bundle.info.thresholds.score)
    curve = threshold_curve(labelled)
    return EvaluationResult(
        bundle_digest=bundle.info.weights_sha256,
        scores_uri=scores.location.uri,
        seed=bundle.info.seed,
        smoothing_window=bundle.info.thresholds.smoothing_window,
        calibrated=calibrated,
        best=at_threshold(labelled, float(curve.threshold[curve.best])),
        roc_auc=roc_auc(labelled),
        pr_auc=pr_auc(labelled),
        counts=_counts(labelled, len(val_smoothed), len(bundle.info.channels)),
        quantiles=_quantiles(labelled, val_smoothed),
        roc=roc_curve(curve, float(labelled.scores.max())),
        pr=pr_curve(curve),
        threshold_curve=curve_over_threshold(curve),
        events=_events(labelled, calibrated, top_channels),
        intervals=intervals,
        baselines=baselines,
    )


def _counts(labelled: LabelledScores, val_rows: int, channels: int) -> Counts:
    return Counts(
        val_rows=val_rows,
        test_rows=len(labelled.scores),
        anomalous_rows=int(np.count_nonzero(labelled.labels)),
        events=len(labelled.events_with_rows),
        channels=channels,
        observed_days=labelled.observed_days,
        start=int(labelled.timestamps[0]),
        end=int(labelled.timestamps[-1]),
    )


def _quantiles(labelled: LabelledScores, val_smoothed: npt.NDArray[np.float32]) -> Quantiles:
    def of(scores: npt.NDArray[np.floating]) -> list[float]:
        return [float(value) for value in np.quantile(scores, QUANTILE_LEVELS)]

    return Quantiles.model_validate(
        {
            "level": QUANTILE_LEVELS,
            "val": of(val_smoothed),
            "test_normal": of(labelled.scores[labelled.is_normal]),
            "test_anomalous": of(labelled.scores[~labelled.is_normal]),
        }
    )


def _events(
    labelled: LabelledScores, calibrated: ThresholdMetrics, top_channels: dict[Event, tuple[ChannelExcess, ...]]
) -> tuple[EventResult, ...]:
    delays = labelled.delays(calibrated.threshold)
    return tuple(
        EventResult(
            **event.model_dump(),
            rows=int(stop - first),
            detected=delay is not None,
            delay_s=delay,
            peak_score=float(peak),
            top_channels=top_channels[event],
        )
        for event, (first, stop), delay, peak in zip(
            labelled.events_with_rows, labelled.event_bounds, delays, labelled.event_peaks, strict=True
        )
    )
