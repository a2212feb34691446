"""Downsampling: the shape is kept, within the limit of points."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.evaluation.downsampling import compress_tail, keep_shape


def test_a_straight_line_needs_its_ends_only() -> None:
    line = np.linspace(3, 9, 100)
    assert keep_shape([line, 2 * line], 50).tolist() == [0, 99]


def test_corners_are_kept_first() -> None:
    x = np.arange(101, dtype=np.float64)
    assert keep_shape([x, np.abs(x - 50)], 3).tolist() == [0, 50, 100]


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_points(rows: int) -> None:
    assert keep_shape([np.arange(rows, dtype=np.float64)], 10).tolist() == list(range(rows))


def test_a_constant_column_does_not_divide_by_zero() -> None:
    assert keep_shape([np.zeros(5), np.ones(5)], 3).tolist() == [0, 4]


def test_the_chords_of_a_long_curve_stay_close_to_it() -> None:
    x = np.linspace(0, 1, 100_000)
    y = np.sin(20 * x)
    kept = keep_shape([x, y], 100)
    assert len(kept) <= 100
    assert np.max(np.abs(np.interp(x, x[kept], y[kept]) - y)) < 0.02


@given(
    st.integers(2, 60).flatmap(lambda rows: arrays(np.float64, (3, rows), elements=st.floats(-1e6, 1e6))),
    st.integers(2, 20),
)
def test_keeps_ends_order_and_number(columns: npt.NDArray[np.float64], points: int) -> None:
    kept = keep_shape(list(columns), points)
    assert len(kept) <= points
    assert kept[0] == 0
    assert kept[-1] == columns.shape[1] - 1
    assert np.all(np.diff(kept) > 0)


@given(st.integers(1, 60).flatmap(lambda rows: arrays(np.float64, rows, elements=st.floats(-1e9, 1e9))))
def test_the_compressed_tail_keeps_the_order(values: npt.NDArray[np.float64]) -> None:
    ordered = np.sort(values)
    assert np.all(np.diff(compress_tail(ordered)) >= 0)
