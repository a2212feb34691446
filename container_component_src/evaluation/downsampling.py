"""Downsampling of curves that keeps their shape."""

import heapq
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float64Array, IntArray

_TOLERANCE = 1e-4  # distance from the chord that is not visible, in the scaled range


def keep_shape(columns: Sequence[npt.NDArray[np.floating]], points: int) -> IntArray:
    """Select the points of a curve whose connecting lines approximate it best.

    This is the Ramer-Douglas-Peucker algorithm with a limit of points: it splits the segment with the point farthest
    from its chord first, and stops at the limit or if no point is farther away than the tolerance.

    Args:
        columns: Coordinates of the curve, [rows] each; each is scaled to the range 0 to 1 first.
        points: Maximum number of points to keep, at least 2.

    Returns:
        Positions of the kept points, ascending; the first and the last point are always kept.
    """
    curve = np.stack([_unit_range(column) for column in columns], axis=1)
    last = len(curve) - 1
    kept = {0, last}
    segments = [_farthest(curve, 0, last)]
    while segments and len(kept) < points:
        distance, middle, first, stop = heapq.heappop(segments)
        if -distance <= _TOLERANCE:
            break
        kept.add(middle)
        for segment in (_farthest(curve, first, middle), _farthest(curve, middle, stop)):
            heapq.heappush(segments, segment)
    return np.array(sorted(kept), dtype=np.int64)


def compress_tail(values: npt.NDArray[np.floating]) -> Float64Array:
    """Return asinh of the distance from the median in interquartile ranges, [rows]; it compresses a heavy tail."""
    low, centre, high = np.quantile(values, [0.25, 0.5, 0.75])
    return np.asarray(np.arcsinh((values - centre) / max(high - low, 1e-9)), dtype=np.float64)


def _unit_range(column: npt.NDArray[np.floating]) -> Float64Array:
    low, high = float(column.min()), float(column.max())
    return (column.astype(np.float64) - low) / ((high - low) or 1.0)


def _farthest(curve: Float64Array, first: int, last: int) -> tuple[float, int, int, int]:
    """Return the point of a segment farthest from its chord, as (-distance, position, first, last) for a heap."""
    if last - first < 2:
        return 0.0, first, first, last
    offsets = curve[first + 1 : last] - curve[first]
    chord = curve[last] - curve[first]
    length = math.sqrt(chord @ chord)
    along = offsets @ (chord / length) if length else np.zeros(len(offsets))
    # Squaring halves the number of exact digits, which is still far more than the tolerance needs.
    squared = np.einsum("ij,ij->i", offsets, offsets) - along**2
    position = int(squared.argmax())
    return -math.sqrt(max(squared[position], 0.0)), first + 1 + position, first, last
