"""Windows that are put together on the device of the rows."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array, Timestamps
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
    for first in range(0, len(values), batch_rows):
        before = min(first, windowing.steps - 1)  # rows that the first window also has
        piece = slice(first - before, first + batch_rows)
        rows = torch.from_numpy(np.ascontiguousarray(values[piece])).to(columns.device)
        piece_starts = torch.from_numpy(starts[piece] - piece.start).to(columns.device)
        positions = torch.arange(before, len(rows), device=columns.device)
        yield windows_at(rows.index_select(1, columns), piece_starts[positions], positions, windowing.steps)
