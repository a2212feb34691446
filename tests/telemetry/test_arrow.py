"""Numbers from pyarrow to numpy and back."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry import arrow
from container_component_src.telemetry.arrow import rows_of, to_arrow, to_numpy


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_nulls_become_nan(kind: type[np.floating]) -> None:
    column = pa.chunked_array([pa.array(np.array([1, 2], kind)), pa.array([None], pa.from_numpy_dtype(kind))])
    np.testing.assert_array_equal(to_numpy(column), np.array([1, 2, np.nan], kind), strict=True)


def test_numbers_come_back_from_any_layout() -> None:
    values = np.arange(12, dtype=np.int64).reshape(3, 4)[:, 1]
    assert to_numpy(to_arrow(values)).tolist() == [1, 5, 9]
    assert to_numpy(to_arrow(values)[1:]).tolist() == [5, 9]
    assert to_numpy(pa.chunked_array([], pa.int64())).tolist() == []


@given(bounds=st.sets(st.integers(0, 400), max_size=300).map(sorted), slices=st.sampled_from([0, 400]))
def test_rows_of_few_and_of_many_ranges(bounds: list[int], slices: int) -> None:
    values = np.arange(400, dtype=np.int16)
    column = pa.chunked_array([to_arrow(values[:150]), to_arrow(values[150:])])
    ranges = list(zip(bounds[::2], bounds[1::2], strict=False)) or [(0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow, "_MOST_SLICES", slices)
        found = rows_of(pa.table({"a": column, "b": column}), ranges)
    for name in ("a", "b"):
        expected = np.concatenate([values[first:stop] for first, stop in ranges])
        np.testing.assert_array_equal(to_numpy(found.column(name)), expected)
