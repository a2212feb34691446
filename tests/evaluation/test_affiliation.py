"""Affiliation precision and recall: by hand, by random rows as the paper defines it, and invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.arrays import BoolArray
from container_component_src.evaluation.affiliation import affiliation


def rows(*runs: tuple[int, int], total: int = 20) -> BoolArray:
    found = np.zeros(total, dtype=bool)
    for first, stop in runs:
        found[first:stop] = True
    return found


@st.composite
def anomalous_and_alarms(draw: st.DrawFn) -> tuple[BoolArray, BoolArray]:
    total = draw(st.integers(2, 40))
    pairs = st.lists(st.tuples(st.integers(0, total - 1), st.integers(1, 9)), max_size=4)
    first, *others = draw(pairs.filter(bool))
    anomalous = rows(*((start, start + length) for start, length in (first, *others)), total=total)
    return anomalous, rows(*((start, start + length) for start, length in draw(pairs)), total=total)


def test_one_event_by_hand() -> None:
    # The zone is all 20 rows, the event rows 8 to 11, so 8 rows lie on each side. An alarm from 12 to 13 is at the
    # distances 0 to 1: of 20 rows, 4 + 2d are closer. For the event, the distance is 12 - y, and 2 (12 - y) rows are
    # closer, until the zone ends: the farthest, y = 8, has 8 rows on each side. Their mean distance is 2.
    precision, recall = affiliation(rows((8, 12)), rows((12, 13)))
    assert precision == pytest.approx(1 - (4 + 2 * 0.5) / 20)
    assert recall == pytest.approx(1 - 2 * 2 / 20)


def test_the_only_alarm_is_far_away() -> None:
    # It is 15.5 rows from the middle of the event, which has 2.5 rows on the other side: 18 of 20 rows are closer.
    assert affiliation(rows((2, 3)), rows((18, 20))).recall == pytest.approx(1 - 18 / 20)
    assert affiliation(rows((17, 18)), rows((0, 2))).recall == pytest.approx(1 - 18 / 20)


def test_zones_by_hand() -> None:
    # The zones are 0 to 6 and 6 to 20. The first has no alarm: no precision, and a recall of 0. In the second,
    # [9, 20) has a longer side: of the rows 18 to 20, at distances of 9 to 11, the near side of 3 rows is closer.
    precision, recall = affiliation(rows((2, 3), (9, 10)), rows((18, 20)))
    assert precision == pytest.approx(1 - (1 + 9 + 3) / 14)  # mean distance 9 from the end of the event
    # From row 9.5, the alarm is 8.5 away, where the zone has 3.5 rows on the other side: (8.5 + 3.5) of 14.
    assert recall == pytest.approx((0 + 1 - 12 / 14) / 2)


def test_perfect_and_no_alarms() -> None:
    anomalous = rows((3, 5), (11, 17))
    assert affiliation(anomalous, anomalous) == (1.0, 1.0)
    assert affiliation(anomalous, rows()) == (None, 0.0)


def test_one_endless_alarm_has_full_recall_and_half_precision() -> None:
    precision, recall = affiliation(rows((500, 501), total=1001), rows((0, 1001), total=1001))
    assert recall == 1.0
    assert precision == pytest.approx(0.5, abs=1e-3)


@given(anomalous_and_alarms())
def test_equals_the_definition_on_a_fine_grid(case: tuple[BoolArray, BoolArray]) -> None:
    """The probability that a random point of the zone is farther, by counting points."""
    anomalous, alarms = case
    fine = 16
    at = (np.arange(len(anomalous) * fine) + 0.5) / fine
    inside, alarm = np.repeat(anomalous, fine), np.repeat(alarms, fine)
    edge = np.flatnonzero(np.diff(np.concatenate([[False], anomalous, [False]]).astype(int)))
    firsts, stops = edge[::2], edge[1::2]
    zones = np.searchsorted((stops[:-1] + firsts[1:]) / 2, at)
    precisions, recalls = [], []
    for number, (first, stop) in enumerate(zip(firsts, stops, strict=True)):
        points = at[zones == number]
        hits = at[alarm & (zones == number)]
        if not len(hits):
            recalls.append(0.0)
            continue
        distances = np.maximum(0, np.maximum(first - points, points - stop))
        own = np.maximum(0, np.maximum(first - hits, hits - stop))
        precisions.append(np.mean([np.mean(distances >= distance) if distance else 1.0 for distance in own]))
        event = at[inside & (zones == number)]
        nearest = [0.0 if alarm[int(point * fine)] else np.abs(hits - point).min() for point in event]
        recalls.append(np.mean([np.mean(np.abs(points - y) >= d) for y, d in zip(event, nearest, strict=True)]))
    precision, recall = affiliation(anomalous, alarms)
    assert recall == pytest.approx(np.mean(recalls), abs=0.04)
    assert (precision is None) == (not alarms.any())
    if precision is not None:
        assert precision == pytest.approx(np.mean(precisions), abs=0.04)


@given(anomalous_and_alarms())
def test_time_may_run_backwards(case: tuple[BoolArray, BoolArray]) -> None:
    anomalous, alarms = case
    found = affiliation(anomalous, alarms)
    assert affiliation(anomalous[::-1], alarms[::-1]) == pytest.approx(found)
    assert all(value is None or 0 <= value <= 1 for value in found)


@given(anomalous_and_alarms(), st.integers(2, 5))
def test_the_cadence_does_not_matter(case: tuple[BoolArray, BoolArray], times: int) -> None:
    anomalous, alarms = case
    finer = affiliation(np.repeat(anomalous, times), np.repeat(alarms, times))
    assert finer == pytest.approx(affiliation(anomalous, alarms))


@given(anomalous_and_alarms())
def test_more_alarms_do_not_lower_the_recall(case: tuple[BoolArray, BoolArray]) -> None:
    anomalous, alarms = case
    more = alarms | np.roll(alarms, 3)
    assert affiliation(anomalous, more).recall >= affiliation(anomalous, alarms).recall - 1e-12
