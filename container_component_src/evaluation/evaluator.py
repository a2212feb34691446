"""Evaluation of a model bundle: scores of the test data, and metrics against the reported events."""

import logging

import numpy as np

from container_component_src.arrays import Float32Array
from container_component_src.errors import InputError
from container_component_src.evaluation.bootstrap import resample
from container_component_src.evaluation.comparison import Comparison
from container_component_src.evaluation.constants import DepartureCount, constant_channels
from container_component_src.evaluation.curves import pr_curve, roc_curve, threshold_curve
from container_component_src.evaluation.labelled_scores import LabelledScores, Scores
from container_component_src.evaluation.metrics import metric_curve, metrics_at, pr_auc, roc_auc
from container_component_src.evaluation.result import (
    SCORE_CHANNELS,
    BaselineResult,
    ConstantChannel,
    Counts,
    EvaluationResult,
    EventResult,
    Interval,
    Quantiles,
    ThresholdMetrics,
)
from container_component_src.evaluation.root_cause import Diagnosis, root_cause
from container_component_src.evaluation.scores import EventContributions, score_test, score_validation, write_scores
from container_component_src.evaluation.vus import median_event_rows, volume_of
from container_component_src.model.bundle import Bundle
from container_component_src.steps.evaluation import BASELINE_WINDOW_STEPS
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event

TOP_CHANNELS = 5
QUANTILE_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)

_log = logging.getLogger(__name__)


def evaluate(
    bundle_uri: str,
    val_uri: str,
    test_uri: str,
    scores_out_uri: str,
    train_uri: str = "",
    baseline_window_steps: int = BASELINE_WINDOW_STEPS,
) -> EvaluationResult:
    """Score the validation and test data, write the test scores, and compute their metrics.

    All datasets are read partition by partition. Memory holds a few scores per row.

    Args:
        bundle_uri: Model bundle.
        val_uri: Scaled validation dataset.
        test_uri: Scaled, labelled test dataset.
        scores_out_uri: Output dataset with the scores of the test rows.
        train_uri: Scaled training dataset, on which the baselines are fitted; without it there are no baselines.
        baseline_window_steps: Time steps of the windowed baselines.

    Raises:
        InputError: An input is missing or damaged, its channels or scaler differ from the model's, or all rows have
            the same label.
    """
    bundle = Bundle.load_calibrated(bundle_uri)
    train = bundle.open_data(train_uri) if train_uri else None
    val, test = bundle.open_data(val_uri), bundle.open_data(test_uri)
    if not test.manifest.labelled:
        raise InputError(f"{test_uri}: the test data has no labels", fix="name the test dataset of the split step")
    _log.info("scoring %d validation and %d test rows", val.manifest.rows, test.manifest.rows)
    val_moved, test_moved = DepartureCount(bundle.info.scaler), DepartureCount(bundle.info.scaler)
    val_smoothed, usual = score_validation(bundle, val, val_moved)
    contributions = EventContributions(test.manifest.events, len(test.channels))
    scores, labelled = _score_and_write(bundle, val, test, contributions, test_moved, scores_out_uri)
    threshold, seed = bundle.info.calibrated.rule.raise_above, bundle.info.seed
    resamples = resample(labelled, threshold, seed)
    baselines: tuple[BaselineResult, ...] = ()
    if train:
        comparison = Comparison(train, val, test, labelled, resamples, bundle.info, seed, baseline_window_steps)
        baselines = comparison.run()
    return _result(
        bundle,
        scores,
        labelled,
        val_smoothed,
        constants=constant_channels(val_moved, test_moved),
        diagnoses=contributions.diagnose(test.channels, usual),
        intervals=resamples.intervals() if resamples else {},
        baselines=baselines,
    )


def _score_and_write(
    bundle: Bundle,
    val: Dataset,
    test: Dataset,
    contributions: EventContributions,
    moved: DepartureCount,
    scores_out_uri: str,
) -> tuple[Dataset, LabelledScores]:
    """Write the dataset of test scores; nothing is left behind if the labels are degenerate."""
    sources, events = [val.location, test.location], test.manifest.events
    with DatasetWriter(scores_out_uri, test.manifest.timestamp_col, SCORE_CHANNELS, sources=sources) as writer:
        labelled = LabelledScores(*write_scores(writer, score_test(bundle, test, contributions, moved)), events)
        return writer.commit(events=events, notes={"threshold": bundle.info.calibrated.rule.raise_above}), labelled


def _result(
    bundle: Bundle,
    scores: Dataset,
    labelled: LabelledScores,
    val_smoothed: Float32Array,
    *,
    constants: tuple[ConstantChannel, ...],
    diagnoses: dict[Event, Diagnosis],
    intervals: dict[str, Interval],
    baselines: tuple[BaselineResult, ...],
) -> EvaluationResult:
    calibrated = metrics_at(labelled, bundle.info.calibrated.rule.raise_above)
    curve, volume = metric_curve(labelled), volume_of(labelled)
    events = _events(labelled, calibrated, diagnoses)
    detected = {event for event, found in zip(labelled.events_with_rows, events, strict=True) if found.detected}
    return EvaluationResult(
        bundle_digest=bundle.info.weights_sha256,
        scores_uri=scores.location.uri,
        seed=bundle.info.seed,
        smoothing=bundle.info.calibrated.settings.smoothing,
        smoothing_window=bundle.info.calibrated.settings.smoothing_window,
        calibrated=calibrated,
        best=metrics_at(labelled, float(curve.threshold[curve.best])),
        roc_auc=roc_auc(labelled),
        pr_auc=pr_auc(labelled),
        vus_roc=volume.roc,
        vus_pr=volume.pr,
        vus_rows=median_event_rows(labelled),
        counts=_counts(labelled, len(val_smoothed), len(bundle.info.channels)),
        quantiles=_quantiles(labelled, val_smoothed),
        roc=roc_curve(curve, float(labelled.scores.max())),
        pr=pr_curve(curve),
        threshold_curve=threshold_curve(curve),
        events=events,
        constant_channels=constants,
        root_cause=root_cause(diagnoses, detected),
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


def _quantiles(labelled: LabelledScores, val_smoothed: Float32Array) -> Quantiles:
    def quantiles(scores: Scores) -> tuple[float, ...]:
        return tuple(np.quantile(scores, QUANTILE_LEVELS).tolist())

    return Quantiles(
        level=QUANTILE_LEVELS,
        val=quantiles(val_smoothed),
        test_normal=quantiles(labelled.normal_scores),
        test_anomalous=quantiles(labelled.anomalous_scores),
    )


def _events(
    labelled: LabelledScores, calibrated: ThresholdMetrics, diagnoses: dict[Event, Diagnosis]
) -> tuple[EventResult, ...]:
    delays = labelled.delays(calibrated.threshold)
    return tuple(
        EventResult(
            **event.model_dump(),
            rows=int(stop - first),
            detected=delay is not None,
            delay_s=delay,
            peak_score=float(peak),
            top_channels=diagnoses[event].ranking[:TOP_CHANNELS],
        )
        for event, (first, stop), delay, peak in zip(
            labelled.events_with_rows, labelled.event_bounds, delays, labelled.event_peaks, strict=True
        )
    )
