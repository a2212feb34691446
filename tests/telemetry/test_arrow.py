"""Numbers from pyarrow to numpy and back."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.arrow import Order, finite_floats, positions_of, to_arrow, to_numpy, values_of


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_nulls_become_nan(kind: type[np.floating]) -> None:
    column = pa.chunked_array([pa.array(np.array([1, 2], kind)), pa.array([None], pa.from_numpy_dtype(kind))])
    np.testing.assert_array_equal(to_numpy(column), np.array([1, 2, np.nan], kind), strict=True)


def test_numbers_come_back_from_any_layout() -> None:
    values = np.arange(12, dtype=np.int64).reshape(3, 4)[:, 1]
    assert to_numpy(to_arrow(values)).tolist() == [1, 5, 9]
    assert to_numpy(to_arrow(values)[1:]).tolist() == [5, 9]
    assert to_numpy(pa.chunked_array([], pa.int64())).tolist() == []


@given(bounds=st.sets(st.integers(0, 400), max_size=300).map(sorted))
def test_positions_of_ranges(bounds: list[int]) -> None:
    ranges = list(zip(bounds[::2], bounds[1::2], strict=False)) or [(0, 1)]
    assert positions_of(ranges, 400).tolist() == [row for first, stop in ranges for row in range(first, stop)]


@pytest.mark.parametrize("order", ["C", "F"])
def test_values_of_some_rows(order: Order) -> None:
    doubles = pa.chunked_array([pa.array([0.0, 1.0]), pa.array([None, 1e300])])
    table = pa.table({"a": doubles, "b": pa.array([True, False, True, None])})
    found = values_of(table, ["b", "a"], order, np.array([1, 2, 3]))
    np.testing.assert_array_equal(found, np.array([[0, 1], [1, np.nan], [np.nan, np.inf]], np.float32))
    assert found.flags[order]


def test_finite_floats_by_hand() -> None:
    doubles = pa.chunked_array([pa.array([0.1, None]), pa.array([1e300, 2.0])])
    found, missing = finite_floats(doubles)
    np.testing.assert_array_equal(to_numpy(found), np.array([0.1, np.nan, np.nan, 2], np.float32), strict=True)
    assert missing == 2
    assert found.null_count == 0
    assert finite_floats(pa.chunked_array([], pa.float64())) == (pa.chunked_array([], pa.float32()), 0)
