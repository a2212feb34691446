"""Operators' metrics: by hand, against the benchmark's implementation, and invariants."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.operator_metrics import f_beta, operator_metrics, timing_curve
from tests.evaluation.labelled_data import event, labelled, random_data, ten_seconds


def with_alarms(rows: int, events: list[tuple[int, int]], alarms: list[tuple[int, int]]) -> LabelledScores:
    """Return one row a second with these events and alarms, at a threshold of 0.5."""
    scores = np.zeros(rows)
    for first, stop in alarms:
        scores[first:stop] = 1
    return labelled(list(range(rows)), scores.tolist(), [event(first, stop, f"A-{first}") for first, stop in events])


def test_by_hand() -> None:
    # Ten seconds, events 2 to 4 and 7, alarms at 1, 3 to 5 and 8. One event is found by one alarm; two alarms are
    # false, and three of the six normal seconds are in alarm.
    metrics = operator_metrics(ten_seconds(), 4.0)
    assert metrics.event_precision == pytest.approx(1 / 3 * (1 - 3 / 6))
    assert metrics.event_f05 == pytest.approx(1.25 * (1 / 6) * 0.5 / (0.25 / 6 + 0.5))
    assert metrics.alarming_precision == 1.0
    assert metrics.timing_quality == pytest.approx(2**math.e / (2**math.e + 1))  # after one of three seconds


def test_repeated_alarms_of_an_event() -> None:
    metrics = operator_metrics(with_alarms(30, [(5, 15), (20, 25)], [(6, 7), (9, 10), (14, 18), (22, 23)]), 0.5)
    assert metrics.alarming_precision == pytest.approx(2 / 4)
    assert metrics.event_precision == pytest.approx(1 - 3 / 15)  # no alarm is false, but it lasts for three more rows


def test_an_endless_alarm_has_no_precision() -> None:
    metrics = operator_metrics(with_alarms(30, [(5, 15), (20, 25)], [(0, 30)]), 0.5)
    assert (metrics.event_precision, metrics.event_f05, metrics.alarming_precision) == (0.0, 0.0, 1.0)


def test_without_alarms_precision_is_undefined() -> None:
    metrics = operator_metrics(ten_seconds(), 8.0)
    assert (metrics.event_precision, metrics.alarming_precision, metrics.timing_quality) == (None, None, None)
    assert (metrics.event_f05, metrics.affiliation_precision, metrics.affiliation_recall) == (0.0, None, 0.0)


def test_a_gap_ends_an_alarm() -> None:
    seconds = [0, 1, 2, 3, 1000, 1001, 1002, 1003]
    data = labelled(seconds, [0, 0, 0, 9, 9, 0, 0, 0], [event(2, 4)])
    assert operator_metrics(data, 1.0).event_precision == pytest.approx(1 / 2 * (1 - 1 / 6))


@pytest.mark.parametrize(
    ("latency", "quality"),
    [
        (-10, 0.0),
        (-5, 0.0),
        (-4, 0.2**math.e),
        (0, 1.0),
        (2, 1 / (1 + (2 / 8) ** math.e)),
        (5, 0.5),
        (10, 0.0),
        (15, 0.0),
    ],
)
def test_the_timing_curve_by_hand(latency: int, quality: float) -> None:
    found = timing_curve(np.array([latency]), np.array([5]), np.array([10]))
    assert found.tolist() == pytest.approx([quality])


def test_an_alarm_may_not_be_earlier_than_the_event_before() -> None:
    # The alarm starts 6 seconds early. The event before starts 8 seconds earlier, the event itself is 20 seconds long.
    data = with_alarms(60, [(10, 14), (18, 38)], [(12, 20)])
    quality = operator_metrics(data, 0.5).timing_quality
    first = 0.5  # after two of four seconds
    assert quality == pytest.approx((first + (2 / 8) ** math.e) / 2)


@pytest.mark.parametrize(
    ("events", "alarms", "expected"),
    [
        (
            [(50, 80), (90, 95), (400, 460), (700, 701), (990, 1000)],
            [(40, 52), (60, 62), (70, 93), (200, 230), (430, 431), (600, 601), (950, 995)],
            (0.5988068605514607, 0.6305209846488841, 0.6666666666666666, 0.20803751405931095),
        ),
        (
            [(100, 200), (150, 260), (400, 460)],
            [(90, 120), (170, 180), (190, 210), (399, 401), (455, 470)],
            (0.97307692307571, 0.9783449342604267, 0.42857142857142855, 0.8966053566611454),
        ),
    ],
    ids=["apart", "overlapping"],
)
def test_equals_the_benchmarks_implementation(
    events: list[tuple[int, int]], alarms: list[tuple[int, int]], expected: tuple[float, ...]
) -> None:
    # Values of ESAScores and ADTQC in github.com/kplabs-pl/ESA-ADB at 27ecde1, for events that end just before the
    # next row. It is not on PyPI.
    metrics = operator_metrics(with_alarms(1000, events, alarms), 0.5)
    found = (metrics.event_precision, metrics.event_f05, metrics.alarming_precision, metrics.timing_quality)
    assert found == pytest.approx(expected, abs=1e-6)


def brute_force(data: LabelledScores, threshold: float) -> tuple[float, float, float]:
    """Return event precision, event recall and alarming precision, event by event and alarm by alarm."""
    alarms: list[set[int]] = []
    starts = set(np.flatnonzero(data.alarm_starts(threshold)).tolist())
    for row in np.flatnonzero(data.alarms(threshold)).tolist():
        if row in starts:
            alarms.append(set())
        alarms[-1].add(row)
    events = [set(range(first, stop)) for first, stop in data.event_bounds.tolist()]
    hits = [sum(bool(alarm & rows) for alarm in alarms) for rows in events]
    found = sum(hit > 0 for hit in hits)
    false = [alarm for alarm in alarms if not any(alarm & rows for rows in events)]
    normal = [row for row in range(len(data.labels)) if not data.labels[row]]
    quiet = sum(data.days[row] for row in normal if row not in set().union(*alarms)) / sum(data.days[normal])
    precision = found / (found + len(false)) * quiet if alarms else 0.0
    return precision, found / len(events), found / sum(hits) if found else 0.0


@given(random_data(), st.floats(-3, 3))
def test_equals_brute_force(data: LabelledScores, threshold: float) -> None:
    precision, recall, alarming = brute_force(data, threshold)
    metrics = operator_metrics(data, threshold)
    assert (metrics.event_precision or 0.0) == pytest.approx(precision, abs=1e-9)
    assert (metrics.alarming_precision or 0.0) == pytest.approx(alarming)
    assert metrics.event_f05 == pytest.approx(f_beta(precision, recall), abs=1e-9)


@given(random_data())
def test_alarms_that_are_the_events_are_perfect(data: LabelledScores) -> None:
    metrics = operator_metrics(replace(data, scores=data.labels.astype(np.float64)), 0.5)
    assert (metrics.event_precision, metrics.event_f05) == (1.0, 1.0)
    assert (metrics.affiliation_precision, metrics.affiliation_recall) == (1.0, 1.0)
