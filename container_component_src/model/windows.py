"""Windows of time steps, the input of models that see more than the present time step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import Float32Array, IntArray, Timestamps
from container_component_src.telemetry.smoothing import segment_starts


@dataclass(frozen=True)
class Windowing:
    """Conversion of rows to windows: each row with the previous ones, the oldest first.

    Every row has a window, and no window crosses a gap. At the start of the data and after a gap, the first row there
    is repeated in place of missing ones.

    Attributes:
        steps: Rows of a window, with the present one.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """

    steps: int = 1
    max_gap_ns: int | None = None

    def batches(self, values: Float32Array, timestamps: Timestamps | None, batch_rows: int) -> Iterator[Float32Array]:
        """Yield the windows of consecutive batches of rows, to save memory.

        Args:
            values: Shape [rows, channels].
            timestamps: Shape [rows]; None: each row is treated as the first one after a gap.
            batch_rows: Maximum number of rows of a batch.

        Yields:
            Windows, shape [rows of the batch, steps * channels].
        """
        rows = np.arange(len(values))
        starts = rows if timestamps is None else self.starts(timestamps)
        for first in range(0, len(values), batch_rows):
            batch = slice(first, first + batch_rows)
            yield values[batch] if self.steps == 1 else self.of(values, starts, rows[batch])

    def starts(self, timestamps: Timestamps) -> IntArray:
        """Return for every row the position of the first row that its window may have, shape [rows]."""
        return segment_starts(timestamps, self.max_gap_ns)

    def of(self, values: Float32Array, starts: IntArray, rows: IntArray) -> Float32Array:
        """Return the windows of some rows, shape [rows, steps * channels].

        Args:
            values: Shape [all rows, channels].
            starts: Position of the first row that each window may have, shape [all rows].
            rows: Positions of the rows, shape [rows].
        """
        windows: Float32Array = values[self.rows(starts, rows)].reshape(len(rows), self.steps * values.shape[1])
        return windows

    def rows(self, starts: IntArray, rows: IntArray) -> IntArray:
        """Return the positions of the rows of windows, shape [rows, steps]; arguments are those of `of`."""
        lags = np.arange(self.steps)[::-1]
        return np.asarray(np.maximum(rows[:, np.newaxis] - lags, starts[rows, np.newaxis]))
