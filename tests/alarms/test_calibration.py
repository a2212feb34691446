"""Tests of alarm rules from scores of normal operation."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.alarms.calibration import calibrate_rule
from container_component_src.alarms.tracker import find_alarms
from container_component_src.steps.calibration import AlarmSettings

MINUTE = 60 * 10**9
DAY_ROWS = 1440  # one a minute
GAP = 10 * MINUTE


def minutes(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=np.int64) * MINUTE


def settings(**values: object) -> AlarmSettings:
    plain = {"threshold_method": "quantile", "alarm_quantile": 0.5, "clear_fraction": 1.0, "merge_alarm_steps": 0}
    return AlarmSettings.model_validate({**plain, **values})


def test_the_levels_of_a_rule() -> None:
    scores = np.arange(101.0)  # median 50
    rule = calibrate_rule(minutes(101), scores, settings(alarm_quantile=0.9, clear_fraction=0.5), GAP).rule
    assert (rule.raise_above, rule.clear_below) == (90, 70)


def test_the_times_of_a_rule_are_in_time_steps_that_vary_by_less_than_half() -> None:
    rule = calibrate_rule(minutes(9), np.zeros(9), settings(min_alarm_steps=3, merge_alarm_steps=2), GAP).rule
    assert (rule.min_duration_ns, rule.merge_gap_ns) == (1.5 * MINUTE, 2.5 * MINUTE)
    plain = calibrate_rule(minutes(9), np.zeros(9), settings(), GAP).rule
    assert (plain.min_duration_ns, plain.merge_gap_ns) == (0, 0)


def test_constant_scores_raise_no_alarm() -> None:
    found = calibrate_rule(minutes(100), np.full(100, -3.0), AlarmSettings(), GAP)
    assert (found.rule.raise_above, found.rule.clear_below) == (-3, -3)
    assert found.false_alarms_per_day is not None
    assert found.false_alarms_per_day.estimate == 0


def test_the_expected_rate_counts_alarms_and_observed_days() -> None:
    scores = np.zeros(2 * DAY_ROWS)
    scores[[100, 101, 700, 2000]] = 9.0
    timestamps = minutes(2 * DAY_ROWS)
    timestamps[DAY_ROWS:] += 1000 * MINUTE  # a gap is not observed
    found = calibrate_rule(timestamps, scores, settings(), GAP)
    assert found.days == pytest.approx(2)
    assert found.false_alarms_per_day is not None
    assert found.false_alarms_per_day.estimate == pytest.approx(1.5)


def test_the_highest_median_is_that_of_a_part() -> None:
    scores = np.concatenate([np.zeros(20), np.full(20, 7.0), np.ones(20)])
    assert calibrate_rule(minutes(60), scores, settings(), GAP).highest_median == 7


def test_one_row_has_no_rate() -> None:
    found = calibrate_rule(minutes(1), np.array([2.0]), AlarmSettings(), None)
    assert (found.rule.raise_above, found.days, found.false_alarms_per_day) == (2, 0, None)


def test_the_target_is_the_lowest_threshold_that_keeps_it() -> None:
    scores = np.zeros(2 * DAY_ROWS)
    scores[[100, 500, 900, 1300, 1700]] = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = calibrate_rule(minutes(2 * DAY_ROWS), scores, settings(target_false_alarms_per_day=1.0), GAP)
    assert found.rule.raise_above == 3
    assert found.method == "at most 1 false alarms a day in the calibration data"
    assert found.false_alarms_per_day is not None
    assert found.false_alarms_per_day.estimate == pytest.approx(1)


def test_a_target_that_the_data_cannot_show_is_said(caplog: pytest.LogCaptureFixture) -> None:
    scores = np.arange(float(DAY_ROWS))
    with caplog.at_level(logging.WARNING):
        found = calibrate_rule(minutes(DAY_ROWS), scores, settings(target_false_alarms_per_day=0.5), GAP)
    assert found.rule.raise_above == DAY_ROWS - 1
    assert "1 days of calibration data are too few to find a threshold for 0.5 false alarms a day" in caplog.text


@given(seed=st.integers(0, 1000), target=st.sampled_from([0.5, 2.0, 10.0, 100.0]), merge=st.sampled_from([0, 5]))
def test_the_calibration_data_keeps_the_target(seed: int, target: float, merge: int) -> None:
    scores = np.random.default_rng(seed).gumbel(size=500).round(1)
    timestamps = minutes(500)
    chosen = settings(target_false_alarms_per_day=target, clear_fraction=0.9, merge_alarm_steps=merge)
    found = calibrate_rule(timestamps, scores, chosen, GAP)
    assert len(find_alarms(timestamps, scores, found.rule)[0]) <= target * found.days
