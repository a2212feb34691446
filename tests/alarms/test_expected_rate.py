"""Tests of the expected rate of alarms."""

import numpy as np
import pytest
from scipy.stats import chi2

from container_component_src.alarms.expected_rate import expected_rate


def test_no_alarm_in_some_days_does_not_mean_none_ever() -> None:
    found = expected_rate(np.zeros(30), np.full(30, 0.1))
    assert (found.estimate, found.low) == (0, 0)
    assert found.high == pytest.approx(chi2.ppf(0.975, 2) / 2 / 3)  # 3.7 in the 3 days


def test_the_interval_of_a_count() -> None:
    found = expected_rate(np.ones(10), np.ones(10))  # equal parts: the bootstrap has no width
    assert found.estimate == 1
    assert (found.low, found.high) == pytest.approx((chi2.ppf(0.025, 20) / 20, chi2.ppf(0.975, 22) / 20))


def test_parts_that_differ_widen_the_interval() -> None:
    bursts = np.zeros(10)
    bursts[0] = 10
    even, uneven = expected_rate(np.ones(10), np.ones(10)), expected_rate(bursts, np.ones(10))
    assert uneven.low == 0
    assert uneven.high > even.high


def test_a_part_without_length_is_allowed() -> None:
    assert expected_rate(np.array([0.0, 1.0]), np.array([0.0, 2.0])).estimate == 0.5
