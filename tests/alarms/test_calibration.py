"""Tests of the alarm threshold."""

import numpy as np
import pytest

from container_component_src.alarms.calibration import alarm_threshold, tail_quantile


def test_tail_of_an_exponential_distribution() -> None:
    probabilities = (np.arange(200_000) + 0.5) / 200_000
    scores = 5 - 3 * np.log1p(-probabilities)
    for quantile in (0.99, 0.999, 0.9999999):  # the last one is above all scores
        assert tail_quantile(scores, quantile) == pytest.approx(5 - 3 * np.log(1 - quantile), rel=0.01)
    highest = tail_quantile(scores, 0.9999999)
    assert highest is not None
    assert highest > scores.max()


def test_tail_of_a_bounded_distribution() -> None:
    assert tail_quantile(np.linspace(0, 1, 100_000), 0.99999) == pytest.approx(1.0, abs=0.001)


def test_the_threshold_of_the_method(caplog: pytest.LogCaptureFixture) -> None:
    scores = np.linspace(0, 1, 10_000) ** 3
    assert alarm_threshold(scores, 0.5, "quantile") == (np.quantile(scores, 0.5), "quantile")
    tail = tail_quantile(scores, 0.99)
    assert alarm_threshold(scores, 0.99, "peaks_over_threshold") == (tail, "peaks_over_threshold")
    assert tail != np.quantile(scores, 0.99)
    assert not caplog.records


TIED = np.repeat(
    np.arange(50.0), [*[200] * 30, *[1] * 20]
)  # the quantile 0.99 is below the tail, in which few rows are


@pytest.mark.parametrize(
    ("scores", "quantile"),
    [
        pytest.param(np.arange(100.0), 0.99, id="few rows"),
        pytest.param(np.arange(5.0), 0.99, id="very few rows"),
        pytest.param(np.ones(10_000), 0.99, id="equal scores"),
        pytest.param(TIED, 0.985, id="most of the tail is at its start"),
        pytest.param(np.r_[np.zeros(980), np.logspace(0, 150, 20)], 1 - 1e-15, id="no finite quantile"),
    ],
)
def test_without_a_tail_to_fit_the_threshold_is_the_quantile(
    scores: np.ndarray, quantile: float, caplog: pytest.LogCaptureFixture
) -> None:
    assert tail_quantile(scores, quantile) is None
    threshold, method = alarm_threshold(scores, quantile, "peaks_over_threshold")
    assert (threshold, method) == (np.quantile(scores, quantile), "quantile")
    assert "no distribution fits the highest 2 %" in caplog.text
