"""Operators' metrics: by hand, against the benchmark's implementation, and invariants."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from container_component_src.alarms.alarm import AlarmSource
from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import metrics_at
from container_component_src.evaluation.operator_metrics import f_beta, operator_metrics, timing_curve
from tests.evaluation.labelled_data import SECOND, above, event, labelled, random_data, random_rules, ten_seconds

HOUR_S = 3_600


def with_alarms(rows: int, events: list[tuple[int, int]], alarms: list[tuple[int, int]]) -> LabelledScores:
    """Return one row a second with these events and alarms, at a threshold of 0.5."""
    scores = np.zeros(rows)
    for first, stop in alarms:
        scores[first:stop] = 1
    return labelled(list(range(rows)), scores.tolist(), [event(first, stop, f"A-{first}") for first, stop in events])


def test_by_hand() -> None:
    # Ten seconds, events 2 to 4 and 7, alarms at 1, 3 to 5 and 8. One event is found by one alarm; two alarms are
    # false, and three of the six normal seconds are in alarm.
    metrics = operator_metrics(above(ten_seconds(), 4.0))
    assert metrics.event_precision == pytest.approx(1 / 3 * (1 - 3 / 6))
    assert metrics.event_f05 == pytest.approx(1.25 * (1 / 6) * 0.5 / (0.25 / 6 + 0.5))
    assert metrics.alarming_precision == 1.0
    assert metrics.timing_quality == pytest.approx(2**math.e / (2**math.e + 1))  # after one of three seconds


def test_a_day_by_hand() -> None:
    # A day of 24 rows, an hour each. The events have the hours 5 to 9 and 15 to 17. The alarms are at 0, at 7 and 9, at
    # 13 to 15, which is early, and at 20 and 22.
    events = [event(5 * HOUR_S, 10 * HOUR_S, "A-1"), event(15 * HOUR_S, 18 * HOUR_S, "A-2")]
    scores = np.isin(range(24), [0, 7, 9, 13, 14, 15, 20, 22]).astype(float)
    metrics = operator_metrics(above(labelled([hour * HOUR_S for hour in range(24)], scores.tolist(), events), 0.5))
    assert (metrics.alarms, metrics.alarms_per_day) == (6, 6.0)
    assert (metrics.false_alarms, metrics.false_alarms_per_day) == (3, 3 / (16 / 24))
    assert metrics.alarm_precision == 3 / 6
    assert (metrics.events_detected, metrics.event_recall) == (2, 1.0)
    assert (metrics.redundancy, metrics.alarming_precision) == (3 / 2, 2 / 3)
    assert metrics.median_detection_delay_s == 0.0  # between two hours late and two hours early
    assert metrics.p90_detection_delay_s == pytest.approx((-2 + 0.9 * 4) * HOUR_S)
    assert metrics.event_precision == pytest.approx(2 / 5 * (1 - 5 / 16))


def test_rare_nominal_events_by_hand() -> None:
    # The same day, in which operators judged the hours 20 to 22 as rare, but nominal. The alarms at 20 and 22 are kept
    # apart, and 13 of the 21 hours that are left are normal.
    events = [event(5 * HOUR_S, 10 * HOUR_S, "A-1"), event(15 * HOUR_S, 18 * HOUR_S, "A-2")]
    rare = [event(20 * HOUR_S, 23 * HOUR_S, "R-1")]
    scores = np.isin(range(24), [0, 7, 9, 13, 14, 15, 20, 22]).astype(float)
    hours = [hour * HOUR_S for hour in range(24)]
    alarms = above(labelled(hours, scores.tolist(), events, rare), 0.5)
    metrics = metrics_at(alarms)
    assert (metrics.rare_nominal_alarms, metrics.rare_nominal_events_alarmed) == (2, 1)
    assert (metrics.alarms, metrics.alarms_per_day) == (4, 4 / (21 / 24))
    assert (metrics.false_alarms, metrics.false_alarms_per_day) == (1, 1 / (13 / 24))
    assert metrics.alarm_precision == 3 / 4
    assert (metrics.events_detected, metrics.event_recall, metrics.redundancy) == (2, 1.0, 3 / 2)
    assert metrics.event_precision == pytest.approx(2 / 3 * (1 - 3 / 13))
    assert (metrics.true_positives, metrics.false_positives) == (3, 3)  # 7, 9 and 15; 0, 13 and 14
    assert (metrics.false_negatives, metrics.true_negatives) == (5, 10)
    assert metrics.precision == 3 / 6
    left = (alarms.data.timestamps // (HOUR_S * SECOND)).tolist()
    assert left == [*range(20), 23]
    assert alarms.data.before_gap.tolist() == [hour in (19, 23) for hour in left]


def test_an_alarm_in_a_rare_event_and_an_anomaly_counts_for_both() -> None:
    # One alarm from 2 to 5, the rare event at 2 and 3, the anomaly at 5 and 6; the second rare event raises nothing.
    scores: list[float] = [0, 0, 9, 9, 9, 9, 0, 0, 0, 0]
    rare = [event(2, 4, "R-1"), event(8, 9, "R-2")]
    alarms = above(labelled(list(range(10)), scores, [event(5, 7)], rare), 0.5)
    metrics = metrics_at(alarms)
    assert (metrics.alarms, metrics.false_alarms, metrics.events_detected) == (1, 0, 1)
    assert (metrics.rare_nominal_alarms, metrics.rare_nominal_events_alarmed) == (0, 1)
    assert (metrics.true_positives, metrics.false_positives, metrics.true_negatives) == (1, 1, 4)
    assert metrics.median_detection_delay_s == -3.0
    assert [record.events for record in alarms.records(AlarmSource("v", alarms.rule))] == [("A-1", "R-1")]


def test_an_alarm_beyond_a_rare_event_is_kept_apart_but_its_rows_beyond_are_false() -> None:
    alarms = above(labelled(list(range(8)), [0, 9, 9, 9, 0, 0, 0, 0], [event(6, 7)], [event(2, 3, "R-1")]), 0.5)
    metrics = metrics_at(alarms)
    assert (metrics.alarms, metrics.false_alarms, metrics.rare_nominal_alarms) == (0, 0, 1)
    assert (metrics.false_positives, metrics.true_negatives) == (2, 4)
    assert [record.events for record in alarms.records(AlarmSource("v", alarms.rule))] == [("R-1",)]


@given(random_data(), random_rules(), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=3))
def test_rare_events_without_alarms_leave_the_alarms_as_they_are(
    data: LabelledScores, rule: AlarmRule, spans: list[tuple[int, int]]
) -> None:
    rare = [event(start, start + length, f"R-{number}") for number, (start, length) in enumerate(spans)]
    times = data.timestamps[data.is_normal].tolist()
    assume(any(not any(one.start <= time < one.end for one in rare) for time in times))  # a normal row is left
    marked = replace(data, rare_nominal=rare)
    alarms, before = FoundAlarms.by(rule, marked), FoundAlarms.by(rule, data)
    kept = ~marked.is_rare
    assert alarms.data.timestamps.tolist() == data.timestamps[kept].tolist()
    assert alarms.data.observed_days == pytest.approx(data.days_of(kept))
    assert len(alarms.spans) + int(alarms.apart.sum()) == len(before.spans)
    assert alarms.detected.tolist() == before.detected.tolist()
    assert alarms.delays_s.tolist() == before.delays_s.tolist()
    false = [span for span, is_false in zip(before.spans, before.false.tolist(), strict=True) if is_false]
    in_rare = [bool(np.any(marked.is_rare[first:stop])) for first, stop in before.bounds[before.false].tolist()]
    assert [span for span, is_false in zip(alarms.spans, alarms.false.tolist(), strict=True) if is_false] == [
        span for span, is_rare in zip(false, in_rare, strict=True) if not is_rare
    ]


def test_hysteresis_duration_and_merging_by_hand() -> None:
    #             0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
    scores: list[float] = [0, 9, 0, 9, 5, 9, 0, 9, 9, 5, 0, 0, 0, 0, 0, 0]
    data = labelled(list(range(16)), scores, [event(6, 7, "A-1"), event(12, 13, "A-2")])
    rule = AlarmRule(raise_above=8, clear_below=3, min_duration_ns=2 * SECOND, merge_gap_ns=2 * SECOND)
    alarms = FoundAlarms.by(rule, data)
    # The alarm at 1 is too short. That from 3 is raised at 5, and one with that from 7, so that it overlaps an event
    # with no row in alarm.
    assert alarms.bounds.tolist() == [[3, 10]]
    assert np.flatnonzero(alarms.rows).tolist() == [5, 7, 8, 9]
    assert alarms.detected.tolist() == [True, False]
    metrics = operator_metrics(alarms)
    assert (metrics.alarms, metrics.false_alarms, metrics.redundancy) == (1, 0, 1.0)
    assert metrics.median_detection_delay_s == -1.0
    assert metrics.event_precision == pytest.approx(1 - 4 / 14)


def test_repeated_alarms_of_an_event() -> None:
    metrics = operator_metrics(above(with_alarms(30, [(5, 15), (20, 25)], [(6, 7), (9, 10), (14, 18), (22, 23)]), 0.5))
    assert metrics.alarming_precision == pytest.approx(2 / 4)
    assert metrics.event_precision == pytest.approx(1 - 3 / 15)  # no alarm is false, but it lasts for three more rows


def test_an_endless_alarm_has_no_precision() -> None:
    metrics = operator_metrics(above(with_alarms(30, [(5, 15), (20, 25)], [(0, 30)]), 0.5))
    assert (metrics.event_precision, metrics.event_f05, metrics.alarming_precision) == (0.0, 0.0, 1.0)


def test_without_alarms_precision_is_undefined() -> None:
    metrics = operator_metrics(above(ten_seconds(), 8.0))
    assert (metrics.event_precision, metrics.alarming_precision, metrics.timing_quality) == (None, None, None)
    assert (metrics.event_f05, metrics.affiliation_precision, metrics.affiliation_recall) == (0.0, None, 0.0)


def test_a_gap_ends_an_alarm() -> None:
    seconds = [0, 1, 2, 3, 1000, 1001, 1002, 1003]
    data = labelled(seconds, [0, 0, 0, 9, 9, 0, 0, 0], [event(2, 4)])
    assert operator_metrics(above(data, 1.0)).event_precision == pytest.approx(1 / 2 * (1 - 1 / 6))


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
    quality = operator_metrics(above(data, 0.5)).timing_quality
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
    metrics = operator_metrics(above(with_alarms(1000, events, alarms), 0.5))
    found = (metrics.event_precision, metrics.event_f05, metrics.alarming_precision, metrics.timing_quality)
    assert found == pytest.approx(expected, abs=1e-6)


def brute_force(alarms: FoundAlarms) -> dict[str, float | None]:
    """Return the metrics that count alarms and events, event by event and alarm by alarm."""
    data = alarms.data
    spans = [(span.start, span.end, int(raised)) for span, raised in zip(alarms.spans, alarms.raised, strict=True)]
    events = [item for item in data.events if any(item.start <= time < item.end for time in data.timestamps)]
    hits = [[raised for start, end, raised in spans if start < item.end and end >= item.start] for item in events]
    delays = [(min(hit) - item.start) / SECOND for item, hit in zip(events, hits, strict=True) if hit]
    false = sum(not any(start < item.end and end >= item.start for item in events) for start, end, _ in spans)
    normal = [row for row in range(len(data.labels)) if not data.labels[row]]
    days, normal_days = sum(data.days), sum(data.days[normal])
    quiet = sum(data.days[row] for row in normal if not alarms.rows[row]) / normal_days
    found, raised = len(delays), sum(map(len, hits))
    return {
        "alarms": len(spans),
        "alarms_per_day": len(spans) / days,
        "false_alarms": false,
        "false_alarms_per_day": false / normal_days,
        "alarm_precision": (len(spans) - false) / len(spans) if spans else None,
        "redundancy": raised / found if found else None,
        "events_detected": found,
        "event_recall": found / len(events),
        "median_detection_delay_s": float(np.quantile(delays, 0.5)) if delays else None,
        "p90_detection_delay_s": float(np.quantile(delays, 0.9)) if delays else None,
        "event_precision": found / (found + false) * quiet if spans else None,
        "alarming_precision": found / raised if found else None,
    }


@given(random_data(), random_rules())
def test_equals_brute_force(data: LabelledScores, rule: AlarmRule) -> None:
    alarms = FoundAlarms.by(rule, data)
    metrics = operator_metrics(alarms)
    for name, value in brute_force(alarms).items():
        assert getattr(metrics, name) == (value if value is None else pytest.approx(value, abs=1e-9)), name
    assert metrics.event_f05 == pytest.approx(float(f_beta(metrics.event_precision or 0, metrics.event_recall)))


@given(random_data())
def test_alarms_that_are_the_events_are_perfect(data: LabelledScores) -> None:
    metrics = operator_metrics(above(replace(data, scores=data.labels.astype(np.float64)), 0.5))
    assert (metrics.event_precision, metrics.event_f05) == (1.0, 1.0)
    assert (metrics.affiliation_precision, metrics.affiliation_recall) == (1.0, 1.0)
