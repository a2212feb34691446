"""The rolling median, compared with values by hand and with brute force, for several partitionings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.telemetry.smoothing import Smoother, default_max_gap, segment_starts, smooth

SECOND = 1_000_000_000


def test_median_by_hand() -> None:
    timestamps = np.arange(6, dtype=np.int64) * SECOND
    smoothed = smooth(timestamps, np.array([1.0, 9.0, 2.0, 8.0, 8.0, 8.0]), window=3)
    assert smoothed.tolist() == [1.0, 5.0, 2.0, 8.0, 8.0, 8.0]


def test_median_restarts_after_a_gap() -> None:
    timestamps = np.array([0, 1, 2, 100, 101], dtype=np.int64) * SECOND
    smoothed = smooth(timestamps, np.array([1.0, 1.0, 1.0, 7.0, 9.0]), window=3)
    assert smoothed.tolist() == [1.0, 1.0, 1.0, 7.0, 8.0]


def test_ten_median_steps_are_not_a_gap() -> None:
    timestamps = np.array([0, 1, 2, 12, 23], dtype=np.int64) * SECOND
    assert default_max_gap(timestamps) == 55 * SECOND  # the median of 1, 1, 10 and 11 is 5.5
    assert segment_starts(timestamps, 10 * SECOND).tolist() == [0, 0, 0, 0, 4]


def test_window_of_one_row() -> None:
    scores = np.array([3.0, 1.0, 2.0])
    smoothed = smooth(np.arange(3, dtype=np.int64), scores, window=1)
    assert smoothed.tolist() == scores.tolist()
    assert not np.shares_memory(smoothed, scores)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows(rows: int) -> None:
    assert len(smooth(np.arange(rows, dtype=np.int64), np.ones(rows), window=5)) == rows


def test_window_below_one() -> None:
    with pytest.raises(InputError, match="window 0 is below 1"):
        smooth(np.arange(2, dtype=np.int64), np.ones(2), window=0)


def test_arrays_of_different_lengths() -> None:
    with pytest.raises(InputError, match="2 timestamps for 3 scores"):
        smooth(np.arange(2, dtype=np.int64), np.ones(3), window=2)


@st.composite
def series(draw: st.DrawFn) -> tuple[Timestamps, Float64Array]:
    rows = draw(st.integers(1, 40))
    steps = draw(arrays(np.int64, rows, elements=st.sampled_from([1, 2, 5, 30])))
    scores = draw(arrays(np.float64, rows, elements=st.floats(-1e6, 1e6)))
    return np.cumsum(steps), scores


@given(series(), st.integers(1, 12))
def test_equals_brute_force(rows: tuple[Timestamps, Float64Array], window: int) -> None:
    timestamps, scores = rows
    max_gap = 5
    expected = []
    for row in range(len(scores)):
        first = row
        while first > 0 and row - first + 1 < window and timestamps[first] - timestamps[first - 1] <= max_gap:
            first -= 1
        expected.append(np.median(scores[first : row + 1]))
    np.testing.assert_array_equal(smooth(timestamps, scores, window, max_gap), expected)


@given(series(), st.integers(1, 12), st.lists(st.integers(0, 40), max_size=6))
def test_result_does_not_depend_on_the_pieces(
    rows: tuple[Timestamps, Float64Array], window: int, cuts: list[int]
) -> None:
    timestamps, scores = rows
    smoother = Smoother(window, max_gap_ns=5)
    pieces = [
        smoother.push(piece_timestamps, piece_scores)
        for piece_timestamps, piece_scores in zip(
            np.split(timestamps, sorted(cuts)), np.split(scores, sorted(cuts)), strict=True
        )
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), smooth(timestamps, scores, window, 5))
