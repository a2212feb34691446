"""Numbers from pyarrow to numpy and back."""

import numpy as np
import pyarrow as pa
import pytest

from container_component_src.telemetry.arrow import to_arrow, to_numpy


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_nulls_become_nan(kind: type[np.floating]) -> None:
    column = pa.chunked_array([pa.array(np.array([1, 2], kind)), pa.array([None], pa.from_numpy_dtype(kind))])
    np.testing.assert_array_equal(to_numpy(column), np.array([1, 2, np.nan], kind), strict=True)


def test_numbers_come_back_from_any_layout() -> None:
    values = np.arange(12, dtype=np.int64).reshape(3, 4)[:, 1]
    assert to_numpy(to_arrow(values)).tolist() == [1, 5, 9]
    assert to_numpy(to_arrow(values)[1:]).tolist() == [5, 9]
    assert to_numpy(pa.chunked_array([], pa.int64())).tolist() == []
