"""Windows that are put together on the device of the rows."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array, IntArray, Timestamps
from container_component_src.model.device_copies import copied_ahead
from container_component_src.model.windows import Windowing


def windows_at(values: Tensor, starts: Tensor, positions: Tensor, steps: int) -> Tensor:
    """Return the windows of some rows, as `Windowing.of` does it: [rows, steps * channels].

    Args:
        values: Shape [all rows, channels].
        starts: Position of the first row that the window of each row may have, [rows].
        positions: Positions of the rows, [rows].
        steps: Rows of a window.
    """
    if steps == 1:
        return values[positions]
    lags = torch.arange(steps - 1, -1, -1, device=values.device)
    window_rows = torch.maximum(positions.unsqueeze(1) - lags, starts.unsqueeze(1))
    return values[window_rows].flatten(1)


def device_windows(
    windowing: Windowing, values: Float32Array, timestamps: Timestamps | None, columns: Tensor, batch_rows: int
) -> Iterator[Tensor]:
    """Yield the windows of consecutive batches of rows, as `Windowing.batches` does it, on the device of `columns`.

    The rows are copied there, and not their windows, which are several times as large.

    Args:
        windowing: Conversion of rows to windows.
        values: Shape [rows, channels].
        timestamps: Shape [rows]; None: each row is treated as the first one after a gap.
        columns: Channels of the windows, int64 [channels of a window].
        batch_rows: Maximum number of rows of a batch.
    """
    starts = np.arange(len(values)) if timestamps is None else windowing.starts(timestamps)
    device = columns.device
    pieces = (_piece(values, starts, first, batch_rows, windowing.steps) for first in range(0, len(values), batch_rows))
    for rows, piece_starts in copied_ahead(pieces, device) if device.type == "cuda" else pieces:
        positions = torch.arange(len(rows) - len(piece_starts), len(rows), device=device)
        yield windows_at(rows.index_select(1, columns), piece_starts, positions, windowing.steps)


def _piece(values: Float32Array, starts: IntArray, first: int, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return some rows, after those before them that the first window also has, and the starts of their windows.

    Args:
        values: Shape [all rows, channels].
        starts: Position of the first row that each window may have, [all rows].
        first: Position of the first one.
        rows: Most rows from there on.
        steps: Rows of a window.
    """
    before = min(first, steps - 1)
    piece = np.require(values[first - before : first + rows], None, ("C", "W"))
    return torch.from_numpy(piece), torch.from_numpy(starts[first : first + rows] - (first - before))
