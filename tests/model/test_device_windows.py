import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.model.device_windows import device_windows
from container_component_src.model.windows import Windowing
from tests.model.datasets import CHANNELS, SECOND, make_values


@given(
    rows=st.integers(1, 40),
    batch_rows=st.integers(1, 50),
    steps=st.integers(1, 6),
    gaps=st.sets(st.integers(0, 40)),
    timestamped=st.booleans(),
)
def test_windows_do_not_depend_on_where_they_are_put_together(
    rows: int, batch_rows: int, steps: int, gaps: set[int], timestamped: bool
) -> None:
    values, windowing = make_values(rows, seed=1), Windowing(steps, SECOND)
    timestamps = None
    if timestamped:
        timestamps = np.cumsum([SECOND * (1 + 4 * (row in gaps)) for row in range(rows)], dtype=np.int64)
    columns = [0, 1, 3]
    expected = list(windowing.batches(values[:, columns], timestamps, batch_rows))
    found = list(device_windows(windowing, values, timestamps, torch.tensor(columns), batch_rows))
    for windows, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(windows.numpy(), other)
    assert len(CHANNELS) > len(columns)
