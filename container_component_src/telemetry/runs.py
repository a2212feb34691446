"""Runs of consecutive rows."""

import numpy as np

from container_component_src.arrays import BoolArray, IntArray


def runs_of(rows: BoolArray, before_gap: BoolArray | None = None) -> IntArray:
    """Return the first row of each run of true rows, and the row after its last.

    Args:
        rows: Shape [rows].
        before_gap: Rows whose run ends with them even if the next row is true, [rows]; none by default.

    Returns:
        Shape [runs, 2].
    """
    joined = rows[:-1] & rows[1:]  # with the next row
    if before_gap is not None:
        joined &= ~before_gap[:-1]
    first = rows & np.append(True, ~joined)[: len(rows)]
    last = rows & np.append(~joined, True)[-len(rows) :]
    return np.column_stack([np.flatnonzero(first), np.flatnonzero(last) + 1])
