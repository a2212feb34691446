"""Windows of time steps: what a model sees that looks at more than the present one."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.telemetry.smoothing import segment_starts


@dataclass(frozen=True)
class Windowing:
    """How rows become windows: each with those before it, the oldest first.

    Every row has a window, which never crosses a gap: at the start of the data and after a gap, the first row there
    stands in for those that are missing.

    Attributes:
        steps: Rows of a window, the present one included.
        max_gap_ns: Longest time step that is not a gap; None where no step is one.
    """

    steps: int = 1
    max_gap_ns: int | None = None

    def pieces(self, values: Float32Array, timestamps: Timestamps | None, rows_at_once: int) -> Iterator[Float32Array]:
        """Windows of some rows after the other, so that few are in memory.

        Args:
            values: Shape [rows, channels].
            timestamps: Shape [rows]; None where they are unknown: then each row is alone, as after a gap.
            rows_at_once: Rows of a piece at most.

        Yields:
            Float32Array of shape [rows of the piece, steps * channels].
        """
        rows = np.arange(len(values))
        starts = rows if timestamps is None else segment_starts(timestamps, self.max_gap_ns)
        lags = np.arange(self.steps)[::-1]
        for first in range(0, len(values), rows_at_once):
            piece = slice(first, first + rows_at_once)
            if self.steps == 1:
                yield values[piece]
            else:
                wanted = np.maximum(rows[piece, np.newaxis] - lags, starts[piece, np.newaxis])
                yield values[wanted].reshape(len(wanted), -1)
