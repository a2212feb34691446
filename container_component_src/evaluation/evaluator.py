"""Evaluation of a calibrated model: scores and alarms of the test data, and metrics against the reported events."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from container_component_src.alarms.files import write_alarms
from container_component_src.arrays import Float32Array
from container_component_src.errors import InputError
from container_component_src.evaluation.bootstrap import intervals, resample
from container_component_src.evaluation.constants import DepartureCount, constant_channels
from container_component_src.evaluation.curves import pr_curve, roc_curve, threshold_curve
from container_component_src.evaluation.drift import drift, scores_shifted
from container_component_src.evaluation.event_result import EventResult, RareNominalEvent
from container_component_src.evaluation.expected import ExpectedValues, moved_channels
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores, Scores
from container_component_src.evaluation.metrics import best_rule, metric_curve, metrics_at, pr_auc, roc_auc
from container_component_src.evaluation.result import (
    SCORE_CHANNELS,
    BaselineResult,
    ConstantChannel,
    Counts,
    EvaluationResult,
    Interval,
    Quantiles,
)
from container_component_src.evaluation.root_cause import Diagnosis, root_cause
from container_component_src.evaluation.scores import (
    TOP_CHANNELS,
    AlarmFinder,
    EventContributions,
    FrameReader,
    score_calibration,
    score_test,
    write_scores,
)
from container_component_src.evaluation.similarity import similar_events
from container_component_src.evaluation.vus import median_event_rows, volume_of
from container_component_src.model.bundle_info import BundleInfo, check_calibrated, open_info
from container_component_src.model.frames import open_data
from container_component_src.model.sampling import sample_windows
from container_component_src.model.windows import Windowing
from container_component_src.steps.evaluation import BASELINE_WINDOW_STEPS
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event, row_bounds

if TYPE_CHECKING:
    from container_component_src.evaluation.comparison import Comparison
    from container_component_src.model.bundle import Bundle

BASELINE_WINDOWS, BASELINE_ROWS = 10_000, 500_000  # training windows that baselines are fitted on, and rows to read
QUANTILE_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)

_log = logging.getLogger(__name__)


@contextmanager
def _without_blas_threads() -> Iterator[None]:
    """Multiply matrices in one thread: several wait for each other more than they compute, see docs/results.md."""
    with threadpool_limits(1, user_api="blas"):
        yield


@_without_blas_threads()
def evaluate(
    bundle_uri: str,
    calibration_uri: str,
    test_uri: str,
    scores_out_uri: str,
    train_uri: str = "",
    baseline_window_steps: int = BASELINE_WINDOW_STEPS,
    alarms_out_uri: str = "",
) -> EvaluationResult:
    """Score the calibration and test data, write the test scores and alarms, and compute their metrics.

    All datasets are read partition by partition. Memory holds a few scores per row.

    Args:
        bundle_uri: Calibrated model bundle.
        calibration_uri: Scaled dataset that it was calibrated on, which the baselines are calibrated on, too.
        test_uri: Scaled, labelled test dataset.
        scores_out_uri: Output dataset with the scores of the test rows.
        train_uri: Scaled training dataset, on which the baselines are fitted; without it there are no baselines.
        baseline_window_steps: Time steps of the windowed baselines.
        alarms_out_uri: Output file of the alarms on the test data; without it they are not written.

    Raises:
        InputError: An input is missing or damaged, the model is not calibrated, channels or scaler of the data differ
            from the model's, or all rows have the same label.
    """
    info = open_info(bundle_uri)
    check_calibrated(info, bundle_uri)
    train = open_data(info, train_uri) if train_uri else None
    calibration, test = open_data(info, calibration_uri), open_data(info, test_uri)
    if not test.manifest.labelled:
        raise InputError(f"{test_uri}: the test data has no labels", fix="name the test dataset of the split step")
    _log.info("scoring %d calibration and %d test rows", calibration.manifest.rows, test.manifest.rows)
    moved = tuple(DepartureCount(info.scaler) for _ in range(2))
    readers: tuple[list[FrameReader], ...] = tuple([count] for count in moved)
    bundle, comparison = _load(bundle_uri, train, calibration, test, info, baseline_window_steps)
    if comparison:
        readers[0].append(comparison.normal)
        readers[1].append(comparison.test)
    normal = score_calibration(bundle, calibration, readers[0])
    contributions = EventContributions(test.manifest.events, len(test.channels))
    expected = ExpectedValues(info, test.manifest.events)
    scores, alarms = _score_and_write(bundle, calibration, test, contributions, expected, readers[1], scores_out_uri)
    if alarms_out_uri:
        write_alarms(alarms_out_uri, alarms.records(info.alarm_source))
    resamples = resample(alarms.data, info.seed, alarms)
    return _result(
        info,
        scores,
        alarms,
        normal.smoothed,
        constants=constant_channels(*moved),
        diagnoses=contributions.diagnose(info, normal.limit),
        expected=expected,
        intervals=intervals(alarms, resamples),
        baselines=comparison.results(normal.timestamps, alarms.scored, resamples) if comparison else (),
    )


def _load(
    bundle_uri: str, train: Dataset | None, calibration: Dataset, test: Dataset, info: BundleInfo, window_steps: int
) -> tuple["Bundle", "Comparison | None"]:
    """Load the model, and fit the baselines while its packages are imported."""
    windowing, comparison = Windowing(window_steps, info.max_gap_ns), None
    with ThreadPoolExecutor(1) as thread:
        if train:
            sample = thread.submit(sample_windows, train.varying(), windowing, BASELINE_WINDOWS, BASELINE_ROWS)
            from container_component_src.evaluation.comparison import Comparison  # noqa: PLC0415

            comparison = thread.submit(lambda: Comparison(sample.result(), windowing, calibration, test, info))
        from container_component_src.model.bundle import Bundle  # noqa: PLC0415

        bundle = Bundle.of(info, bundle_uri).for_many_rows()
        return bundle, comparison.result() if comparison else None


def _score_and_write(
    bundle: "Bundle",
    calibration: Dataset,
    test: Dataset,
    contributions: EventContributions,
    expected: ExpectedValues,
    readers: Iterable[FrameReader],
    scores_out_uri: str,
) -> tuple[Dataset, FoundAlarms]:
    """Write the dataset of test scores; nothing is left behind if the labels are degenerate."""
    sources, known = [*calibration.folders, *test.folders], test.manifest
    rule, finder = bundle.info.calibrated.rule, AlarmFinder(bundle.info)
    with DatasetWriter(scores_out_uri, test.manifest.timestamp_col, SCORE_CHANNELS, sources=sources) as writer:
        frames = score_test(bundle, test, contributions, expected, finder, readers)
        scored = LabelledScores(*write_scores(writer, frames), known.events, known.rare_nominal)
        alarms = FoundAlarms(scored, rule, *finder.finish())
        notes = {"threshold": rule.raise_above}
        return writer.commit(events=known.events, rare_nominal=known.rare_nominal, notes=notes), alarms


def _result(
    info: BundleInfo,
    scores: Dataset,
    alarms: FoundAlarms,
    normal: Float32Array,
    *,
    constants: tuple[ConstantChannel, ...],
    diagnoses: dict[Event, Diagnosis],
    expected: ExpectedValues,
    intervals: dict[str, Interval],
    baselines: tuple[BaselineResult, ...],
) -> EvaluationResult:
    labelled, calibration = alarms.data, info.calibrated
    curve, events = metric_curve(labelled), labelled.events_with_rows
    return EvaluationResult(
        bundle_digest=info.version,
        scores_uri=scores.location.uri,
        seed=info.seed,
        smoothing=calibration.settings.smoothing,
        smoothing_window=calibration.settings.smoothing_window,
        calibrated=metrics_at(alarms),
        best=metrics_at(FoundAlarms.by(best_rule(curve, calibration.rule), alarms.scored)),
        expected_false_alarms_per_day=calibration.false_alarms_per_day,
        drift=drift(calibration.false_alarms_per_day, intervals.get("false_alarms_per_day")),
        scores_shifted=scores_shifted(float(np.median(labelled.normal_scores)), calibration.highest_median),
        **_areas(labelled),
        counts=_counts(alarms.scored, len(normal), len(info.channels)),
        quantiles=_quantiles(labelled, normal),
        roc=roc_curve(curve, float(labelled.scores.max())),
        pr=pr_curve(curve),
        threshold_curve=threshold_curve(curve),
        events=_events(alarms, diagnoses, expected),
        rare_nominal=_rare_nominal(alarms),
        constant_channels=constants,
        root_cause=root_cause(diagnoses, {events[i] for i in np.flatnonzero(alarms.detected)}),
        intervals=intervals,
        baselines=baselines,
    )


def _areas(labelled: LabelledScores) -> dict[str, float]:
    """Return the metrics without a threshold, and the rows of the buffer of the volumes."""
    volume = volume_of(labelled)
    areas = {"roc_auc": roc_auc(labelled), "pr_auc": pr_auc(labelled), "vus_roc": volume.roc, "vus_pr": volume.pr}
    return {**areas, "vus_rows": median_event_rows(labelled)}


def _counts(scored: LabelledScores, calibration_rows: int, channels: int) -> Counts:
    labelled = scored.compared
    return Counts(
        calibration_rows=calibration_rows,
        test_rows=len(labelled.scores),
        anomalous_rows=int(np.count_nonzero(labelled.labels)),
        events=len(labelled.events_with_rows),
        channels=channels,
        observed_days=labelled.observed_days,
        start=int(scored.timestamps[0]),
        end=int(scored.timestamps[-1]),
        rare_nominal_rows=int(np.count_nonzero(scored.is_rare)),
    )


def _quantiles(labelled: LabelledScores, normal: Float32Array) -> Quantiles:
    def quantiles(scores: Scores) -> tuple[float, ...]:
        return tuple(np.quantile(scores, QUANTILE_LEVELS).tolist())

    return Quantiles(
        level=QUANTILE_LEVELS,
        calibration=quantiles(normal),
        test_normal=quantiles(labelled.normal_scores),
        test_anomalous=quantiles(labelled.anomalous_scores),
    )


def _events(
    alarms: FoundAlarms, diagnoses: dict[Event, Diagnosis], expected: ExpectedValues
) -> tuple[EventResult, ...]:
    labelled, delays = alarms.data, iter(alarms.delays_s.tolist())
    rankings = [diagnoses[event].ranking for event in labelled.events_with_rows]
    return tuple(
        EventResult(
            **event.model_dump(),
            rows=int(stop - first),
            detected=count > 0,
            delay_s=next(delays) if count else None,
            alarms=count,
            alarm_start=alarms.spans[first_alarm].start if count else None,
            peak_score=float(peak),
            top_channels=ranking[:TOP_CHANNELS],
            expected=expected.of(event, moved_channels(ranking)),
            similar=similar,
        )
        for event, (first, stop), count, first_alarm, peak, ranking, similar in zip(
            labelled.events_with_rows,
            labelled.event_bounds,
            alarms.alarms_per_event.tolist(),
            alarms.of_event[:, 0].tolist(),
            labelled.event_peaks,
            rankings,
            similar_events(rankings),
            strict=True,
        )
    )


def _rare_nominal(alarms: FoundAlarms) -> tuple[RareNominalEvent, ...]:
    events = alarms.scored.rare_with_rows
    rows = np.diff(row_bounds(alarms.scored.timestamps, events), axis=1)[:, 0]
    return tuple(
        RareNominalEvent(**event.model_dump(exclude={"causes", "origin"}), rows=count, alarms=found, peak_score=peak)
        for event, count, found, peak in zip(
            events,
            rows.tolist(),
            alarms.alarms_per_rare_event.tolist(),
            alarms.rare_peaks.tolist(),
            strict=True,
        )
    )
