"""Metrics: by hand, against brute force at every threshold, and against scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score, roc_curve

from container_component_src.evaluation import metrics
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metric_curve, metrics_at, pr_auc, roc_auc
from tests.evaluation.labelled_data import DAY_S, SECOND, above, event, labelled, random_data, ten_seconds


def test_one_threshold_by_hand() -> None:
    metrics = metrics_at(above(ten_seconds(), 4.0))
    assert (metrics.true_positives, metrics.false_positives) == (2, 3)
    assert (metrics.false_negatives, metrics.true_negatives) == (2, 3)
    assert metrics.precision == pytest.approx(2 / 5)
    assert metrics.recall == pytest.approx(1 / 2)
    assert metrics.f1 == pytest.approx(4 / 9)
    assert (metrics.events_detected, metrics.event_recall) == (1, 0.5)
    assert metrics.composite_f1 == pytest.approx(2 * 0.4 * 0.5 / 0.9)
    assert metrics.median_detection_delay_s == 1.0
    # Of the alarms at 1, 3 to 5 and 8, the first and the last overlap no event. Six seconds are normal.
    assert metrics.false_alarms == 2
    assert metrics.false_alarms_per_day == pytest.approx(2 / 6 * DAY_S)


def test_a_score_equal_to_the_threshold_is_no_alarm() -> None:
    metrics = metrics_at(above(ten_seconds(), 7.0))
    assert (metrics.true_positives, metrics.false_positives) == (0, 1)
    assert (metrics.precision, metrics.composite_f1, metrics.median_detection_delay_s) == (0.0, 0.0, None)


def test_without_alarms_precision_is_undefined_and_the_composite_zero() -> None:
    metrics = metrics_at(above(ten_seconds(), 8.0))
    assert (metrics.precision, metrics.f1, metrics.composite_f1) == (None, 0.0, 0.0)
    assert (metrics.false_alarms, metrics.false_alarms_per_day) == (0, 0.0)


def test_a_threshold_between_two_float32_scores_is_not_rounded() -> None:
    data = ten_seconds()
    single = replace(data, scores=np.array([0.1] * 9 + [0], dtype=np.float32))
    assert metrics_at(above(single, float(np.float32(0.1)) - 1e-12)).true_positives == 4
    assert metrics_at(above(single, float(np.float32(0.1)) + 1e-12)).true_positives == 0


def test_short_and_long_events_count_the_same() -> None:
    data = labelled(list(range(200)), [9.0] * 10 + [0.0] * 190, [event(0, 10, "short"), event(100, 190, "long")])
    assert metrics_at(above(data, 1.0)).event_recall == 0.5


def test_the_best_threshold_by_hand() -> None:
    # Above 0, seven rows are in alarm, four of them anomalous, and both events are detected. A higher threshold misses
    # the second event.
    curve = metric_curve(ten_seconds())
    assert curve.threshold[curve.best] == 0.0
    assert curve.composite_f1[curve.best] == pytest.approx(8 / 11)
    assert curve.event_recall[curve.best] == 1.0


def runs(data: LabelledScores, threshold: float) -> list[list[int]]:
    """Return the rows of each alarm of a single level, which a gap ends, row by row."""
    steps = np.diff(data.timestamps)
    found: list[list[int]] = []
    for row in np.flatnonzero(data.scores.astype(np.float64) > threshold).tolist():
        goes_on = bool(found) and found[-1][-1] == row - 1 and steps[row - 1] <= 10 * int(np.median(steps))
        found = [*found[:-1], [*found[-1], row]] if goes_on else [*found, [row]]
    return found


def brute_force(data: LabelledScores, threshold: float) -> tuple[float, float, float, float, list[float], int]:
    alarms = runs(data, threshold)
    alarm = [row for rows in alarms for row in rows]
    inside = {
        event: {row for row, t in enumerate(data.timestamps) if event.start <= t < event.end} for event in data.events
    }
    first = {event: next((a for a in alarms if rows & {*a}), None) for event, rows in inside.items() if rows}
    delays = [(int(data.timestamps[a[0]]) - event.start) / SECOND for event, a in first.items() if a]
    false = sum(not any(rows & {*a} for rows in inside.values()) for a in alarms)
    right = sum(data.labels[row] == 1 for row in alarm)
    precision = right / len(alarm) if alarm else 0.0
    event_recall = len(delays) / len(first)
    total = precision + event_recall
    composite = 2 * precision * event_recall / total if total else 0.0
    return precision, right / int(np.sum(data.labels)), event_recall, composite, delays, false


@given(random_data(), st.floats(-3, 3))
def test_one_threshold_equals_brute_force(data: LabelledScores, threshold: float) -> None:
    precision, recall, event_recall, composite, delays, false = brute_force(data, threshold)
    metrics = metrics_at(above(data, threshold))
    assert (metrics.precision or 0.0) == pytest.approx(precision)
    assert metrics.recall == pytest.approx(recall)
    assert metrics.event_recall == pytest.approx(event_recall)
    assert metrics.composite_f1 == pytest.approx(composite)
    assert (metrics.alarms, metrics.false_alarms) == (len(runs(data, threshold)), false)
    found = (metrics.median_detection_delay_s, metrics.p90_detection_delay_s)
    assert found == (pytest.approx(np.quantile(delays, [0.5, 0.9]).tolist()) if delays else (None, None))


@given(random_data())
def test_the_curve_equals_brute_force_and_one_threshold_at_a_time(data: LabelledScores) -> None:
    curve = metric_curve(data)
    for point, threshold in enumerate(curve.threshold):
        precision, recall, event_recall, composite, _, _ = brute_force(data, float(threshold))
        assert curve.precision[point] == pytest.approx(precision)
        assert curve.recall[point] == pytest.approx(recall)
        assert curve.event_recall[point] == pytest.approx(event_recall)
        assert curve.composite_f1[point] == pytest.approx(composite)
    best = metrics_at(above(data, float(curve.threshold[curve.best])))
    assert best.composite_f1 == pytest.approx(curve.composite_f1.max())


@given(random_data())
def test_agrees_with_scikit_learn(data: LabelledScores) -> None:
    curve = metric_curve(data)
    precision, recall, levels = precision_recall_curve(data.labels, data.scores)
    np.testing.assert_allclose(curve.precision, precision[:-1])
    np.testing.assert_allclose(curve.recall, recall[:-1])
    np.testing.assert_array_equal(curve.threshold[1:], levels[:-1])
    false_positive_rate, true_positive_rate, _ = roc_curve(data.labels, data.scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate[::-1], false_positive_rate[1:])
    np.testing.assert_allclose(curve.recall[::-1], true_positive_rate[1:])
    assert roc_auc(data) == pytest.approx(roc_auc_score(data.labels, data.scores))
    assert pr_auc(data) == pytest.approx(average_precision_score(data.labels, data.scores))
    middle = float(curve.threshold[len(curve.threshold) // 2])
    expected = f1_score(data.labels, data.scores > middle)
    assert metrics_at(above(data, middle)).f1 == pytest.approx(expected)


@given(random_data(), st.floats(0.5, 4), st.floats(-5, 5))
def test_the_curve_does_not_depend_on_unit_and_offset(data: LabelledScores, scale: float, offset: float) -> None:
    curve = metric_curve(data)
    moved = metric_curve(replace(data, scores=data.scores.astype(np.float64) * scale + offset))
    np.testing.assert_array_equal(curve.composite_f1, moved.composite_f1)


@given(random_data(), st.integers(4, 12))
def test_a_long_curve_keeps_some_points_and_the_best(data: LabelledScores, points: int) -> None:
    whole = metric_curve(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "MAX_POINTS", points)
        short = metric_curve(data)
    assert len(short.threshold) <= points + 1
    assert set(short.threshold) <= set(whole.threshold)
    assert short.threshold[0] == whole.threshold[0]
    assert short.threshold[short.best] == whole.threshold[whole.best]
