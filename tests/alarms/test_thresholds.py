"""Tests of alarm thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.alarms.thresholds import (
    PARTS,
    alarm_threshold,
    parts_of,
    robust_quantile,
    tail_quantile,
    threshold_for,
)


@pytest.mark.parametrize(("rows", "parts"), [(1, 1), (39, 1), (40, 2), (599, 29), (600, PARTS), (10_000, PARTS)])
def test_parts_have_equally_many_rows(rows: int, parts: int) -> None:
    found = parts_of(np.arange(rows))
    assert len(found) == parts
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert np.concatenate(found).tolist() == list(range(rows))


def test_unreported_anomalies_in_a_few_parts_do_not_raise_the_threshold() -> None:
    scores = np.random.default_rng(1).normal(size=3000)
    anomalous = scores.copy()
    anomalous[500:600] += 50  # one of the 30 parts
    assert robust_quantile(anomalous, 0.98) == pytest.approx(robust_quantile(scores, 0.98), abs=0.2)
    assert np.quantile(anomalous, 0.98) > 10


def test_a_part_of_the_scores_is_their_plain_quantile() -> None:
    scores = np.arange(30.0)
    assert robust_quantile(scores, 0.9) == np.quantile(scores, 0.9)


@given(
    scores=st.lists(st.integers(0, 30), min_size=1, max_size=60).map(lambda values: np.array(values, dtype=float)),
    alarms=st.integers(0, 20),
)
def test_the_search_finds_the_lowest_threshold_of_a_falling_count(scores: np.ndarray, alarms: int) -> None:
    def count(threshold: float) -> int:
        return int(np.count_nonzero(scores > threshold))

    levels = [score for score in scores if score >= np.median(scores) and count(score) <= alarms]
    assert threshold_for(alarms, scores, count) == min(levels)


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


# The quantile 0.99 is below the tail, in which few rows are.
TIED = np.repeat(np.arange(50.0), [*[200] * 30, *[1] * 20])


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
