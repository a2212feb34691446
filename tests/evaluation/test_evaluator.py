"""Evaluation of a model with known scores: the negative log-likelihood of a standard normal distribution."""

import math
from pathlib import Path

import numpy as np
import pytest

from container_component_src.alarms.files import read_alarms
from container_component_src.alarms.rule import AlarmRule
from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.gate import decide
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metrics_at
from container_component_src.evaluation.result import SCORE_CHANNELS
from container_component_src.evaluation.vus import volume_under_surface
from container_component_src.model.bundle_info import open_info
from container_component_src.steps.calibration import AlarmSettings, Smoothing
from container_component_src.steps.data import ScalerType
from container_component_src.steps.evaluation import GateLimits
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.smoothing import Smoother
from tests.evaluation.cases import (
    CHANNELS,
    ROWS,
    SECOND,
    START,
    Case,
    add_rare_event,
    anomalous_frame,
    make_bundle,
    normal_frame,
    recalibrate,
    write_case,
    write_dataset,
)


def run(case: Case) -> Dataset:
    evaluate(case.bundle, case.calibration, case.test, str(case.out))
    return Dataset.open(str(case.out))


@pytest.mark.parametrize("smoothing", Smoothing)
def test_writes_the_scores_of_the_model_and_the_smoothed_scores(smoothing: Smoothing, tmp_path: Path) -> None:
    case = write_case(tmp_path)
    make_bundle(case.bundle, smoothing=smoothing)
    scores = run(case)
    frame, events = anomalous_frame()
    expected = 0.5 * (frame.values.astype(np.float64) ** 2 + math.log(2 * math.pi)).sum(axis=1)
    written = scores.load()
    assert scores.channels == SCORE_CHANNELS == ("score", "smoothed_score")
    assert scores.manifest.labelled
    assert scores.manifest.events == events
    np.testing.assert_array_equal(written.timestamps, frame.timestamps)
    np.testing.assert_array_equal(written.labels, frame.labels)
    np.testing.assert_allclose(written.values[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        written.values[:, 1], Smoother(smoothing, 3, 10 * SECOND).push(frame.timestamps, expected), rtol=1e-5
    )


def test_a_window_of_two_time_steps_spans_partitions(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    make_bundle(case.bundle, window_steps=2)
    single = 0.5 * (anomalous_frame()[0].values.astype(np.float64) ** 2 + math.log(2 * math.pi)).sum(axis=1)
    before = np.concatenate([single[:1], single[:-1]])
    np.testing.assert_allclose(run(case).load().values[:, 0], (single + before) / 2, rtol=1e-5)


def test_the_result_matches_the_written_scores(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    written = Dataset.open(str(case.out))
    frame = written.load()
    assert frame.labels is not None
    data = LabelledScores(frame.timestamps, frame.values[:, 1], frame.labels, written.manifest.events)
    info = open_info(case.bundle)
    assert result.bundle_digest == info.version
    assert result.calibrated == metrics_at(FoundAlarms.by(info.calibrated.rule, data))
    assert result.best == metrics_at(FoundAlarms.by(info.calibrated.rule.at(result.best.threshold), data))
    assert result.best.composite_f1 >= result.calibrated.composite_f1
    assert result.best.composite_f1 == pytest.approx(max(result.threshold_curve.composite_f1))
    assert (result.counts.calibration_rows, result.counts.test_rows, result.counts.anomalous_rows) == (ROWS, ROWS, 50)
    assert result.counts.observed_days == pytest.approx(ROWS / 86_400)
    assert result.quantiles.calibration[0] < result.quantiles.calibration[-1]
    assert result.quantiles.test_anomalous[5] > result.quantiles.test_normal[5]
    assert result.seed == 7
    assert (result.smoothing, result.smoothing_window) == (Smoothing.MEDIAN, 3)


def test_events_list_their_top_channels(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert [event.id for event in result.events] == ["A-1", "A-2"]  # the third event has no rows
    assert [event.rows for event in result.events] == [40, 10]
    first, second = result.events
    assert first.top_channels[0].channel == "fan"
    assert second.top_channels[0].channel == "pressure"
    assert len(first.top_channels) == len(CHANNELS)
    fan = anomalous_frame()[0].values[100:140, 2].astype(np.float64)
    usual = open_info(case.bundle).calibrated.channel_nats[2]  # as in alarms
    assert first.top_channels[0].excess == pytest.approx(0.5 * (np.mean(fan**2) + math.log(2 * math.pi)) - usual)
    assert first.detected
    assert first.delay_s == 1.0  # the median rises with the second anomalous row
    assert first.peak_score > 8.0


def test_events_have_what_the_model_expected_and_their_first_alarm(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    alarms = str(tmp_path / "alarms.ndjson")
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out), alarms_out_uri=alarms)
    first, second = result.events
    assert [item.channel for item in first.expected.channels] == ["fan"]  # the only one that moved
    assert {*first.expected.channels[0].low, *first.expected.channels[0].high} == {0}  # all that this model expects
    assert (first.expected.timestamps[0], second.expected.timestamps[0]) == (START, START)
    in_first = [alarm for alarm in read_alarms(alarms) if first.id in (alarm.events or ())]
    assert first.alarm_start == in_first[0].start == START + 101 * SECOND
    assert first.similar == second.similar == ()  # the fan, and the pressure


def test_root_causes_are_those_of_the_events_that_name_them(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert [event.causes for event in result.events] == [("fan",), ()]
    assert result.root_cause is not None
    # The shift of the fan by 6 is beyond 99 % of its calibration data, which the other channels resemble.
    assert set(result.root_cause.model_dump().values()) == {1}
    assert result.scalars()["hit_rate_100"] == result.scalars()["channel_f05"] == 1.0


def test_a_result_without_causes(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    frame, events = anomalous_frame()
    write_dataset(Path(case.test), frame, (), tuple(event.model_copy(update={"causes": ()}) for event in events))
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.root_cause is None
    assert "hit_rate_100" not in result.scalars()


def test_volumes_tolerate_alarms_up_to_half_the_median_length_of_an_event(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out), case.train)
    assert result.vus_rows == 25  # between 40 and 10 rows
    frame = Dataset.open(str(case.out)).load()
    assert frame.labels is not None
    expected = volume_under_surface(frame.labels == 1, frame.values[:, 1], 25)
    assert (result.vus_roc, result.vus_pr) == expected
    for baseline in result.baselines:
        assert 0.5 < baseline.vus_roc < 1
        assert result.scalars()[f"{baseline.name}_vus_pr"] == baseline.vus_pr


def test_the_curves_run_from_end_to_end(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    roc, curve = result.roc, result.threshold_curve
    assert (roc.false_positive_rate[0], roc.recall[0]) == (0.0, 0.0)
    assert (roc.false_positive_rate[-1], roc.recall[-1]) == (1.0, 1.0)
    assert list(roc.threshold) == sorted(roc.threshold, reverse=True)
    assert result.pr.recall[-1] == 1.0
    assert result.pr.precision[-1] == pytest.approx(50 / ROWS)
    assert list(curve.threshold) == sorted(curve.threshold)
    assert result.best.threshold in curve.threshold
    assert all(len(column) <= 200 for column in (roc.recall, result.pr.recall, curve.recall))


@pytest.mark.parametrize("cuts", [(), (1, 2, 3), (101, 139, 300, 399)])
def test_the_partitioning_does_not_matter(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    reference = write_case(tmp_path / "reference")
    other = write_case(tmp_path / "other", cuts)
    expected = evaluate(reference.bundle, reference.calibration, reference.test, str(reference.out))
    result = evaluate(other.bundle, other.calibration, other.test, str(other.out))
    left, right = expected.scalars(), result.scalars()
    assert left.keys() == right.keys()
    assert all(left[name] == pytest.approx(right[name], rel=1e-5) for name in left)


def test_baselines_are_evaluated_on_the_same_rows(tmp_path: Path) -> None:
    case = write_case(tmp_path, window=1)
    write_dataset(tmp_path / "train", normal_frame(4, labelled=False), (100,))
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out), str(tmp_path / "train"))
    names = [baseline.name for baseline in result.baselines]
    assert names == [
        *("z_score", "mahalanobis", "pca_residual", "isolation_forest", "windowed_kmeans", "windowed_pca"),
    ]
    z_score = result.baselines[0]
    # The channels are independent standard normal variables, so the model's score is half the sum of their squares.
    assert z_score.roc_auc == pytest.approx(result.roc_auc, abs=0.01)
    assert z_score.best.composite_f1 == pytest.approx(result.best.composite_f1, abs=0.05)
    normal = (normal_frame(5, labelled=False).values.astype(np.float64) ** 2).sum(axis=1)
    assert z_score.calibrated.threshold == pytest.approx(np.quantile(normal, 0.999), rel=0.2)
    for baseline in result.baselines:
        for metric, interval in baseline.advantage.items():
            gain = getattr(result, metric) - getattr(baseline, metric)
            assert interval.low - 1e-3 <= gain <= interval.high + 1e-3
        assert baseline.intervals.keys() >= {"composite_f1", "event_recall", "alarms_per_day", "pr_auc"}
        for metric in ("composite_f1", "event_recall", "alarms_per_day"):
            interval, value = baseline.intervals[metric], getattr(baseline.calibrated, metric)
            assert interval.low <= value <= interval.high
    scalars, mahalanobis = result.scalars(), result.baselines[1]
    assert scalars["mahalanobis_pr_auc"] == mahalanobis.pr_auc
    assert scalars["mahalanobis_composite_f1"] == mahalanobis.calibrated.composite_f1
    assert scalars["mahalanobis_composite_f1_high"] == mahalanobis.intervals["composite_f1"].high


def test_baselines_get_their_rules_by_the_settings_of_the_model(tmp_path: Path) -> None:
    case = write_case(tmp_path, window=1)
    settings = {"smoothing": "none", "threshold_method": "quantile", "alarm_quantile": 0.9, "clear_fraction": 0.25}
    settings |= {"min_alarm_steps": 20, "merge_alarm_steps": 0}
    recalibrate(case, settings=AlarmSettings.model_validate(settings))
    z_score = evaluate(case.bundle, case.calibration, case.test, str(case.out), case.train).baselines[0]
    train = normal_frame(4, labelled=False).values.astype(np.float64)
    normal = normal_frame(5, labelled=False).values.astype(np.float64)
    squares = (((normal - train.mean(axis=0)) / train.std(axis=0)) ** 2).sum(axis=1)
    median, threshold = np.quantile(squares, [0.5, 0.9])
    assert z_score.calibrated.threshold == pytest.approx(threshold, rel=1e-4)
    assert z_score.calibrated.clear_threshold == pytest.approx(median + 0.25 * (threshold - median), rel=1e-4)
    # An alarm of 20 steps is in the event of 40 alone.
    assert (z_score.calibrated.alarms, z_score.calibrated.events_detected) == (1, 1)
    assert z_score.calibrated.median_detection_delay_s == 19.0
    assert z_score.best.clear_threshold == z_score.best.threshold


def test_intervals_contain_their_metric(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.baselines == ()
    assert result.intervals["roc_auc"].low <= result.roc_auc <= result.intervals["roc_auc"].high
    assert result.intervals["event_recall"].high == result.calibrated.event_recall == 1.0
    scalars = result.scalars()
    assert scalars["roc_auc_low"] == result.intervals["roc_auc"].low
    assert scalars["event_recall_high"] == scalars["calibrated_event_recall"] == 1.0


@pytest.mark.parametrize("cuts", [(), (1, 2, 3), (101, 139, 300, 399)])
def test_writes_the_alarms_whatever_the_partitions(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    case, file = write_case(tmp_path, cuts), str(tmp_path / "alarms")
    rule = AlarmRule(raise_above=8.0, clear_below=5.0, merge_gap_ns=3 * SECOND, max_gap_ns=10 * SECOND)
    info = recalibrate(case, rule=rule, subsystems={"fan": "ventilation", "pressure": "air"})
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out), alarms_out_uri=file)
    alarms = read_alarms(file)
    assert len(alarms) == result.calibrated.alarms == 2
    assert [alarm.events for alarm in alarms] == [("A-1",), ("A-2",)]
    assert [alarm.channels[0].channel for alarm in alarms] == ["fan", "pressure"]
    assert [alarm.subsystem for alarm in alarms] == ["ventilation", "air"]
    assert [alarm.raised for alarm in alarms] == [START + 101 * SECOND, START + 301 * SECOND]  # a median is late
    assert {alarm.threshold for alarm in alarms} == {8.0} == {result.calibrated.threshold}
    assert {alarm.model_version for alarm in alarms} == {info.version} == {result.bundle_digest}
    assert result.calibrated.clear_threshold == 5.0
    assert [event.alarms for event in result.events] == [1, 1]


def test_another_calibration_of_the_same_model_is_another_bundle(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    first = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    recalibrate(case, rule=AlarmRule(raise_above=9.0, clear_below=9.0))
    second = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert first.bundle_digest != second.bundle_digest


def test_the_best_threshold_is_a_single_level_with_the_rest_of_the_rule(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    rule = AlarmRule(raise_above=8.0, clear_below=5.0, min_duration_ns=15 * SECOND, max_gap_ns=10 * SECOND)
    recalibrate(case, rule=rule)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.best.threshold == result.best.clear_threshold
    assert result.best.events_detected == 1  # the other event is too short


def test_rejects_unknown_channels(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    frame, events = anomalous_frame()
    with DatasetWriter(case.test, "normalizedTime", (*CHANNELS[:2], "pump")) as writer:
        writer.write(frame)
        writer.commit(events=events)
    with pytest.raises(InputError, match="channels differ from those of the model: it lacks 'fan'"):
        run(case)
    assert not case.out.exists()


def test_rejects_data_of_another_scaler(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    frame, events = anomalous_frame()
    scaler = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=(1.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0))
    with DatasetWriter(case.test, "normalizedTime", CHANNELS) as writer:
        writer.write(frame)
        writer.commit(events=events, scaler=scaler)
    with pytest.raises(InputError, match="test: scaled differently"):
        run(case)


def test_rejects_test_data_without_labels(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    with pytest.raises(InputError, match="calibration: the test data has no labels"):
        evaluate(case.bundle, case.calibration, case.calibration, str(case.out))


def test_degenerate_labels_leave_no_scores_behind(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    with DatasetWriter(case.test, "normalizedTime", CHANNELS) as writer:
        writer.write(normal_frame(3, labelled=True))
        writer.commit()
    with pytest.raises(InputError, match="no test row is labelled as anomalous"):
        run(case)
    assert not case.out.exists()


def test_a_missing_value_is_reported_with_its_channel_and_time(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    frame, events = anomalous_frame()
    frame.values[5, 1] = np.nan
    with DatasetWriter(case.test, "normalizedTime", CHANNELS) as writer:
        writer.write(frame)
        writer.commit(events=events)
    with pytest.raises(InputError, match=r"no finite score for 2020-09-13T12:26:45.*'temperature' is nan"):
        run(case)


def test_a_rare_nominal_event_is_in_no_metric_of_any_detector(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    paths = (case.bundle, case.calibration, case.test, str(case.out), case.train)
    add_rare_event(case, marked=False)
    before = evaluate(*paths)
    event = add_rare_event(case)
    result = evaluate(*paths, alarms_out_uri=str(tmp_path / "alarms.ndjson"))
    (rare,) = result.rare_nominal
    assert (rare.id, rare.rows, rare.alarms) == (event.id, 20, 1)
    assert rare.peak_score > result.calibrated.threshold
    assert (result.counts.test_rows, result.counts.rare_nominal_rows) == (ROWS - 20, 20)
    assert result.calibrated.rare_nominal_events_alarmed == 1
    assert result.calibrated.rare_nominal_alarms == 1
    assert result.calibrated.false_alarms == before.calibrated.false_alarms - 1
    assert result.calibrated.false_positives < before.calibrated.false_positives
    assert result.pr_auc > before.pr_auc
    assert result.calibrated.events_detected == before.calibrated.events_detected
    assert {item.calibrated.rare_nominal_events_alarmed for item in result.baselines} <= {0, 1}
    for item, old in zip(result.baselines, before.baselines, strict=True):
        assert item.pr_auc >= old.pr_auc
    # The file has all alarms; that of the rare event names it, so it does not look like a false one.
    named = [alarm.events for alarm in read_alarms(str(tmp_path / "alarms.ndjson"))]
    assert len(named) == result.calibrated.alarms + 1
    assert ("R-1",) in named
    assert result.scalars()["rare_nominal_events"] == 1
    # The gate decides by what is left.
    rate = before.calibrated.false_alarms_per_day
    assert rate is not None
    limits = GateLimits(min_composite_f1=0.0, max_false_alarms_per_day=rate * 0.99, beat_baselines=False)
    assert not decide(before, limits).passed
    assert decide(result, limits).passed


def test_rare_nominal_rows_alone_leave_nothing_to_compare(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    test = Dataset.open(case.test)
    whole = Event(id="R-1", start=START, end=START + ROWS * SECOND)
    with DatasetWriter(str(tmp_path / "marked"), "normalizedTime", CHANNELS) as writer:
        writer.write(test.load())
        writer.commit(events=test.manifest.events, rare_nominal=(whole,))
    with pytest.raises(InputError, match="labelled as anomalous or rare nominal"):
        evaluate(case.bundle, case.calibration, str(tmp_path / "marked"), str(case.out))
    assert not case.out.exists()
