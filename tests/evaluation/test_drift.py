"""Drift between calibration and test data, and its warning."""

from pathlib import Path

import pytest

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.drift import drift, scores_shifted
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import Drift, Interval
from tests.evaluation.cases import recalibrate, write_case

EXPECTED = ExpectedRate(estimate=1.0, low=0.5, high=3.0)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.0, 0.4, Drift.FEWER),
        (0.0, 0.5, Drift.NONE),
        (1.0, 2.0, Drift.NONE),
        (0.1, 9.0, Drift.NONE),
        (3.0, 9.0, Drift.NONE),
        (3.1, 9.0, Drift.MORE),
    ],
)
def test_intervals_apart_are_a_drift_and_warn(
    low: float, high: float, found: Drift, caplog: pytest.LogCaptureFixture
) -> None:
    assert drift(EXPECTED, Interval(low=low, high=high)) is found
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    if found is Drift.NONE:
        assert messages == []
    else:
        (message,) = messages
        assert "drift between calibration and test data" in message
        assert f"{low:.3g} to {high:.3g} false alarms a day, {found} than the 0.5 to 3 expected" in message


def test_without_one_of_the_rates_it_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    assert drift(None, Interval(low=0.0, high=9.0)) is Drift.UNKNOWN
    assert drift(EXPECTED, None) is Drift.UNKNOWN
    assert not caplog.records


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (None, Drift.UNKNOWN),
        (ExpectedRate(estimate=1.0, low=0.2, high=3.1), Drift.NONE),  # no false alarm in six minutes
        (ExpectedRate(estimate=5000.0, low=4000.0, high=6000.0), Drift.FEWER),
    ],
)
def test_the_rate_of_false_alarms_is_compared_with_that_of_the_calibration(
    tmp_path: Path, expected: ExpectedRate | None, found: Drift
) -> None:
    case = write_case(tmp_path)
    recalibrate(case, false_alarms_per_day=expected)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.calibrated.false_alarms == 0
    assert (result.expected_false_alarms_per_day, result.drift) == (expected, found)
    known = {name for name in result.scalars() if name.startswith("expected_")}
    assert known == {f"expected_false_alarms_per_day{end}" for end in ("", "_low", "_high") if expected}


def test_more_false_alarms_than_expected_are_a_drift(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    recalibrate(case, rule=AlarmRule(raise_above=4.5, clear_below=4.5))
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.intervals["false_alarms_per_day"].low > 3.1
    assert result.drift is Drift.MORE


def test_a_median_above_that_of_every_part_is_a_shift_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    assert not scores_shifted(4.0, 4.0)
    assert not caplog.records
    assert scores_shifted(4.1, 4.0)
    assert "4.1 nats, is above that of every part of the calibration data, at most 4;" in caplog.text


@pytest.mark.parametrize(("highest", "shifted"), [(1e6, False), (-1e6, True)])
def test_the_normal_test_scores_are_compared_with_the_calibration(
    tmp_path: Path, highest: float, shifted: bool
) -> None:
    case = write_case(tmp_path)
    recalibrate(case, highest_median=highest)
    result = evaluate(case.bundle, case.calibration, case.test, str(case.out))
    assert result.scores_shifted is shifted
