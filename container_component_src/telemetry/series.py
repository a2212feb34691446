"""Series that are given in consecutive pieces."""

from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Timestamps

F = TypeVar("F", bound=np.floating)


class EvenSample:
    """Evenly spaced rows of a series, which are the same for any pieces.

    Args:
        rows: Number of rows of the series.
        most: Largest number of rows in the sample.
    """

    def __init__(self, rows: int, most: int) -> None:
        self._stride = -(-rows // most)
        self._known = 0

    def of(self, rows: int) -> slice:
        """Return the sampled ones of the next rows."""
        sampled = slice(-self._known % self._stride, rows, self._stride)
        self._known += rows
        return sampled


class Context(Generic[F]):
    """The last rows before the next piece of a series, which the windows of its rows need.

    Args:
        rows: Number of rows to keep.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._timestamps: Timestamps = np.empty(0, dtype=np.int64)
        self._values: npt.NDArray[F] | None = None

    def extend(self, timestamps: Timestamps, values: npt.NDArray[F]) -> tuple[Timestamps, npt.NDArray[F], int]:
        """Return the kept rows with those of the next piece, and how many rows were kept.

        Args:
            timestamps: Shape [rows].
            values: Shape [rows, ...].
        """
        known = len(self._timestamps)
        if known and self._values is not None:
            timestamps = np.concatenate([self._timestamps, timestamps])
            values = np.concatenate([self._values, values])
        self.keep(timestamps, values)
        return timestamps, values, known

    def keep(self, timestamps: Timestamps, values: npt.NDArray[F]) -> None:
        """Keep the last of these rows in place of those kept before; shapes as in `extend`."""
        first = max(0, len(timestamps) - self._rows)
        self._timestamps, self._values = timestamps[first:].copy(), values[first:].copy()
