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
