"""Smoothed scores, compared with values by hand and with brute force, for several partitionings."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.errors import InputError
from container_component_src.steps.calibration import Smoothing
from container_component_src.telemetry.smoothing import Scores, Smoother, default_max_gap, segment_starts, smooth

SECOND = 1_000_000_000


def smoothed(
    method: Smoothing, timestamps: Timestamps, scores: Scores, window: int, max_gap_ns: int | None = None
) -> Float64Array:
    gap = default_max_gap(timestamps) if max_gap_ns is None else max_gap_ns
    return Smoother(method, window, gap).push(timestamps, scores)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Smoothing.NONE, [2, 8, 2, 8, 8, 6, 4]),
        (Smoothing.MEAN, [2, 5, 4, 6, 6, 6, 5]),
        (Smoothing.MEDIAN, [2, 5, 2, 8, 8, 6, 5]),
        (Smoothing.EXPONENTIAL, [2, 5, 3.5, 5.75, 6.875, 6, 5]),
    ],
)
def test_values_by_hand_before_and_after_a_gap(method: Smoothing, expected: list[float]) -> None:
    timestamps = np.array([0, 1, 2, 3, 4, 100, 101], dtype=np.int64) * SECOND
    scores = np.array([2.0, 8.0, 2.0, 8.0, 8.0, 6.0, 4.0])
    assert smoothed(method, timestamps, scores, window=3).tolist() == expected


def test_ten_median_steps_are_not_a_gap() -> None:
    timestamps = np.array([0, 1, 2, 12, 23], dtype=np.int64) * SECOND
    assert default_max_gap(timestamps) == 55 * SECOND  # the median of 1, 1, 10 and 11 is 5.5
    assert segment_starts(timestamps, 10 * SECOND).tolist() == [0, 0, 0, 0, 4]


@pytest.mark.parametrize(("method", "window"), [*((method, 1) for method in Smoothing), (Smoothing.NONE, 5)])
def test_without_smoothing_the_scores_are_copied(method: Smoothing, window: int) -> None:
    scores = np.array([3.0, 1.0, 2.0])
    smoother = Smoother(method, window, None)
    found = smoother.push(np.arange(3, dtype=np.int64), scores)
    assert found.tolist() == scores.tolist()
    assert not np.shares_memory(found, scores)
    assert (smoother.window, smoother.context_rows) == (1, 0)


@pytest.mark.parametrize("method", Smoothing)
@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows(method: Smoothing, rows: int) -> None:
    assert len(smoothed(method, np.arange(rows, dtype=np.int64), np.ones(rows), window=5)) == rows


def test_window_below_one() -> None:
    with pytest.raises(InputError, match="window 0 is below 1"):
        Smoother(Smoothing.MEAN, 0, None)


def test_arrays_of_different_lengths() -> None:
    with pytest.raises(InputError, match="2 timestamps for 3 scores"):
        smoothed(Smoothing.MEAN, np.arange(2, dtype=np.int64), np.ones(3), window=2)


@pytest.mark.parametrize("window", [2, 3, 30, 100])
def test_a_huge_score_leaves_no_error_in_later_means(window: int) -> None:
    """A difference of running sums loses the digits of all later scores."""
    scores = np.full(300, 0.1)
    scores[10] = 1e30
    found = smoothed(Smoothing.MEAN, np.arange(300, dtype=np.int64), scores, window)
    np.testing.assert_allclose(found[10 + window :], 0.1, rtol=1e-14)


@pytest.mark.parametrize("window", [2, 3, 30])
def test_rows_before_the_context_do_not_count(window: int) -> None:
    for method in Smoothing:
        rows = Smoother(method, window, None).context_rows
        scores = np.random.default_rng(window).lognormal(size=rows + 2)
        scores[0] = 1e6  # the row before the context of the last row
        last = smoothed(method, np.arange(rows + 2, dtype=np.int64), scores, window)[-1]
        alone = smoothed(method, np.arange(rows + 1, dtype=np.int64), scores[1:], window)[-1]
        assert last == alone  # to the last bit
        before = smoothed(method, np.arange(rows + 1, dtype=np.int64), scores[:-1], window)[-1]
        assert method in {Smoothing.MEDIAN, Smoothing.EXPONENTIAL} or before > 1e3  # not one row more than needed


@pytest.mark.parametrize("method", [Smoothing.MEAN, Smoothing.EXPONENTIAL])
def test_columns_are_smoothed_by_themselves(method: Smoothing) -> None:
    values = np.random.default_rng(0).standard_normal((50, 3))
    starts = np.repeat([0, 20], [20, 30])
    found = smooth(values, starts, method, 7)
    for column in range(3):
        np.testing.assert_array_equal(found[:, column], smooth(values[:, column].copy(), starts, method, 7))


@st.composite
def series(draw: st.DrawFn) -> tuple[Timestamps, Float64Array]:
    rows = draw(st.integers(1, 40))
    steps = draw(arrays(np.int64, rows, elements=st.sampled_from([1, 2, 5, 30])))
    scores = draw(arrays(np.float64, rows, elements=st.one_of(st.floats(-1e3, 1e3), st.sampled_from([1e12]))))
    return np.cumsum(steps), scores


def exponential(scores: Float64Array, window: int) -> float:
    ages = np.arange(len(scores))[::-1]
    weights = 2 / (window + 1) * ((window - 1) / (window + 1)) ** ages
    weights[0] += 1 - weights.sum()  # the first score stands for all before it
    return float(weights @ scores)


REFERENCES: dict[Smoothing, Callable[[Float64Array, int], float]] = {
    Smoothing.NONE: lambda scores, _: float(scores[-1]),
    Smoothing.MEAN: lambda scores, window: float(np.mean(scores[-window:])),
    Smoothing.MEDIAN: lambda scores, window: float(np.median(scores[-window:])),
    Smoothing.EXPONENTIAL: exponential,
}


@given(st.sampled_from(Smoothing), series(), st.integers(1, 12))
def test_equals_brute_force(method: Smoothing, rows: tuple[Timestamps, Float64Array], window: int) -> None:
    timestamps, scores = rows
    max_gap = 5
    expected, first = [], 0
    for row in range(len(scores)):
        if row and timestamps[row] - timestamps[row - 1] > max_gap:
            first = row
        expected.append(REFERENCES[method](scores[first : row + 1], window))
    np.testing.assert_allclose(smoothed(method, timestamps, scores, window, max_gap), expected, rtol=1e-9, atol=1e-9)


@given(st.sampled_from(Smoothing), series(), st.integers(1, 12), st.lists(st.integers(0, 40), max_size=6))
def test_result_does_not_depend_on_the_pieces(
    method: Smoothing, rows: tuple[Timestamps, Float64Array], window: int, cuts: list[int]
) -> None:
    timestamps, scores = rows
    smoother = Smoother(method, window, max_gap_ns=5)
    pieces = [
        smoother.push(piece_timestamps, piece_scores)
        for piece_timestamps, piece_scores in zip(
            np.split(timestamps, sorted(cuts)), np.split(scores, sorted(cuts)), strict=True
        )
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), smoothed(method, timestamps, scores, window, 5))
