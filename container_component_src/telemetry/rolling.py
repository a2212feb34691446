"""Rolling medians that do not cross the starts of segments."""

import numpy as np
import pandas as pd
from pandas.api.indexers import BaseIndexer

from container_component_src.arrays import Float64Array, IntArray


def segment_median(values: Float64Array, starts: IntArray, window: int) -> Float64Array:
    """Return the median of each value and the previous ones of its segment, at most `window` values, shape [rows].

    Args:
        values: Shape [rows].
        starts: Position of the first row of each row's segment, shape [rows].
        window: Largest number of values, with the present one.
    """
    rolling = pd.Series(values).rolling(_SegmentWindows(starts, window), min_periods=1)
    return rolling.median().to_numpy(dtype=np.float64)


class _SegmentWindows(BaseIndexer):
    """Windows of the last `window` rows that do not cross the start of a row's segment."""

    def __init__(self, starts: IntArray, window: int) -> None:
        super().__init__()
        self._starts = starts
        self._window = window

    def get_window_bounds(
        self,
        num_values: int = 0,
        min_periods: int | None = None,
        center: bool | None = None,
        closed: str | None = None,
        step: int | None = None,
    ) -> tuple[IntArray, IntArray]:
        """Return the half-open bounds of every row's window, each of shape [rows]."""
        ends = np.arange(1, num_values + 1, dtype=np.int64)
        return np.maximum(self._starts, ends - self._window), ends
