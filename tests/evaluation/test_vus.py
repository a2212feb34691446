"""Volumes under the surface: by hand, against the definition row by row, and against the authors' implementation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.arrays import BoolArray, Float64Array
from container_component_src.evaluation import vus
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.vus import Volume, median_event_rows, volume_of, volume_under_surface
from tests.evaluation.labelled_data import SECOND, event, labelled, random_data, ten_seconds


def weight(row: int, events: list[tuple[int, int]], width: int) -> float:
    """Return how anomalous a row is with a buffer of this width."""
    total = 0.0
    for first, stop in events:
        distance = max(first - row, row - (stop - 1), 0)
        if distance <= width // 2:
            total += math.sqrt(1 - distance / width) if distance else 1.0
    return min(total, 1.0)


def areas(events: list[tuple[int, int]], scores: Float64Array, width: int) -> tuple[float, float]:
    """Return the areas under the ROC and the PR curve, by the definition, row by row."""
    rows, reach = range(len(scores)), width // 2
    weights = [weight(row, events, width) for row in rows]
    buffers: list[tuple[int, int]] = []
    for first, stop in events:
        if buffers and first - reach <= buffers[-1][1]:
            buffers[-1] = (buffers[-1][0], stop - 1 + reach)
        else:
            buffers.append((first - reach, stop - 1 + reach))
    anomalous = sum(stop - first for first, stop in events)
    curve = [(0.0, 0.0, 1.0)]  # recall, false positive rate, precision
    for rank in np.linspace(0, len(scores) - 1, 250).astype(int):
        alarms = [row for row in rows if scores[row] >= sorted(scores, reverse=True)[rank]]
        found = sum(weights[row] for row in alarms)
        in_events = sum(1 for row in alarms if any(first <= row < stop for first, stop in events))
        positives = (anomalous + anomalous + found - in_events) / 2
        detected = sum(any(first <= row <= last for row in alarms) for first, last in buffers) / len(buffers)
        false = (len(alarms) - found) / (len(scores) - positives)
        curve.append((min(found / positives, 1) * detected, false, found / len(alarms)))
    recall, false_rate, precision = np.array([*curve, (1.0, 1.0, 0.0)]).T
    return float(np.trapezoid(recall, false_rate)), float(np.diff(recall[:-1]) @ precision[1:-1])


def event_rows(data: LabelledScores) -> list[tuple[int, int]]:
    padded = [0, *data.labels.tolist(), 0]
    starts = [row for row in range(len(padded) - 1) if padded[row : row + 2] == [0, 1]]
    return [(start, padded.index(0, start + 1) - 1) for start in starts]


def test_without_buffer_by_hand() -> None:
    # Ranks of the rows are 0 (anomalous), 1 (normal), 2 (anomalous), 3 (normal): recall is halved until both events
    # are detected. ROC: 1/4 until a rate of 1/2, then 1. PR: 1/4 at precision 1, the rest at 2/3.
    anomalous = np.array([True, False, True, False])
    volume = volume_under_surface(anomalous, np.array([4.0, 3.0, 2.0, 1.0]), 0)
    assert volume.roc == pytest.approx(0.25 / 2 + 1 / 2)
    assert volume.pr == pytest.approx(0.25 + 0.75 * 2 / 3)


def test_one_buffer_by_hand() -> None:
    # With a width of 2, the row beside the event counts as sqrt(1/2). It is the first in alarm.
    anomalous = np.array([False, True, False, False, False, False])
    scores = np.array([5.0, 4.0, 1.0, 1.0, 1.0, 1.0])
    side = math.sqrt(1 / 2)
    first = side / (1 + side / 2)  # recall
    both = (1 + side) / (1 + side / 2)
    roc, pr = areas([(1, 2)], scores, 2)
    assert both > 1
    assert pr == pytest.approx(first * side + (1 - first) * (1 + side) / 2)
    without = areas([(1, 2)], scores, 0)
    expected = np.mean([without, without, (roc, pr)], axis=0)
    assert volume_under_surface(anomalous, scores, 2) == pytest.approx(tuple(expected))


@given(random_data(), st.integers(0, 12))
def test_equals_the_definition(data: LabelledScores, width: int) -> None:
    events = event_rows(data)
    scores = data.scores.astype(np.float64)
    expected = np.mean([areas(events, scores, each) for each in range(width + 1)], axis=0)
    volume = volume_under_surface(~data.is_normal, data.scores, width)
    assert volume == pytest.approx(tuple(np.minimum(expected, 1)), abs=1e-9)


def recorded_case() -> tuple[BoolArray, Float64Array]:
    """Return a thousand rows with five events whose scores rise five rows late."""
    anomalous = np.zeros(1000, dtype=bool)
    for first, stop in ((50, 80), (90, 95), (400, 460), (700, 701), (990, 1000)):
        anomalous[first:stop] = True
    return anomalous, np.arange(1000) * 7919 % 1009 + 300.0 * np.roll(anomalous, 5)


@pytest.mark.parametrize(
    ("width", "roc", "pr"),
    [
        (0, 0.6846133552825968, 0.27735092650347215),
        (1, 0.6846133552825968, 0.27735092650347215),
        (10, 0.7261154529716106, 0.3175794307129222),
        (31, 0.784764454917167, 0.39794909149790025),
        (100, 0.8611878138548865, 0.5121823123381637),
    ],
)
def test_equals_the_authors_implementation(width: int, roc: float, pr: float) -> None:
    # Values of get_metrics(scores, labels, metric="vus", slidingWindow=width) of vus 0.0.6.
    assert volume_under_surface(*recorded_case(), width) == pytest.approx((roc, pr), abs=1e-9)


def test_a_buffer_does_not_cross_a_gap() -> None:
    # The highest score is in the row after the event, but on the other side of the gap.
    seconds = [0, 1, 2, 3, 1000, 1001, 1002, 1003]
    data = labelled(seconds, [0, 1, 7, 8, 9, 0, 1, 0], [event(2, 4)])
    assert median_event_rows(data) == 2
    moved = replace(data, scores=np.array([0, 1, 7, 8, 0, 0, 1, 9.0]))
    assert volume_of(data) == volume_of(moved)
    joined = replace(data, timestamps=np.arange(8) * SECOND)
    assert volume_of(joined).pr > volume_of(data).pr


def test_touching_events_are_one() -> None:
    assert median_event_rows(labelled(list(range(9)), [0.0] * 9, [event(0, 2), event(2, 4), event(6, 8)])) == 3
    assert median_event_rows(ten_seconds()) == 2


def test_too_many_widths_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = volume_under_surface(*recorded_case(), 300)
    monkeypatch.setattr(vus, "MOST_TERMS", 1)
    monkeypatch.setattr(vus, "LEAST_WIDTHS", 60)
    assert volume_under_surface(*recorded_case(), 300) == pytest.approx(whole, abs=1e-3)
    assert volume_under_surface(*recorded_case(), 300) != whole


@given(random_data(), st.integers(0, 9), st.sampled_from([np.exp, np.cbrt, lambda scores: 3 * scores - 1]))
def test_only_the_order_of_the_scores_matters(data: LabelledScores, width: int, change: np.ufunc) -> None:
    scores = data.scores.astype(np.float64)
    expected = volume_under_surface(~data.is_normal, scores, width)
    assert volume_under_surface(~data.is_normal, change(scores), width) == pytest.approx(expected)


@given(random_data(), st.integers(0, 9))
def test_time_may_run_backwards(data: LabelledScores, width: int) -> None:
    expected = volume_under_surface(~data.is_normal, data.scores, width)
    volume = volume_under_surface(~data.is_normal[::-1], data.scores[::-1], width)
    assert volume == pytest.approx(expected)
    assert all(0 <= value <= 1 for value in volume)


@given(random_data())
def test_perfect_scores_have_the_whole_area_without_buffer(data: LabelledScores) -> None:
    perfect = volume_under_surface(~data.is_normal, data.labels.astype(np.float64), 0)
    assert perfect == pytest.approx(Volume(1, 1))
