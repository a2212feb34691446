"""Drift between calibration and test data, and its warning."""

import pytest

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.evaluation.drift import drift
from container_component_src.evaluation.result import Drift, Interval

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
        assert f"{low:.2g} to {high:.2g} false alarms a day, {found} than the 0.5 to 3 expected" in message


def test_without_one_of_the_rates_it_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    assert drift(None, Interval(low=0.0, high=9.0)) is Drift.UNKNOWN
    assert drift(EXPECTED, None) is Drift.UNKNOWN
    assert not caplog.records
