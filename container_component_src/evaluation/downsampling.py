"""Fewer points that look the same: curves by the points that bend them most, time series by their extremes."""

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def keep_shape(columns: Sequence[npt.NDArray[np.floating]], points: int, tolerance: float = 1e-4) -> Indices:
    """Choose the points of a curve between which straight lines come closest to it.

    The Ramer-Douglas-Peucker idea in order of need: the stretch with the point farthest from its chord is split there,
    until there are enough points or none is off by more than the tolerance.

    Args:
        columns: Coordinates of the curve, each of shape [rows]; each is brought to the range 0 to 1 first.
        points: How many to keep at most, at least 2.
        tolerance: Distance from the chord that nobody sees, as a part of the range.

    Returns:
        Positions of the points kept, ascending; the first and the last always are.
    """
    curve = np.stack([_unit_range(column) for column in columns], axis=1)
    last = len(curve) - 1
    kept = {0, last}
    stretches = [_farthest(curve, 0, last)]
    while stretches and len(kept) < points:
        distance, middle, first, stop = heapq.heappop(stretches)
        if -distance <= tolerance:
            break
        kept.add(middle)
        for stretch in (_farthest(curve, first, middle), _farthest(curve, middle, stop)):
            heapq.heappush(stretches, stretch)
    return np.array(sorted(kept), dtype=np.int64)


def spread(values: npt.NDArray[np.floating]) -> Floats:
    """Compress a heavy tail: asinh of the distance from the median in interquartile ranges, shape [rows]."""
    low, centre, high = np.quantile(values, [0.25, 0.5, 0.75])
    return np.asarray(np.arcsinh((values - centre) / max(high - low, 1e-9)), dtype=np.float64)


def _unit_range(column: npt.NDArray[np.floating]) -> Floats:
    low, high = float(column.min()), float(column.max())
    return (column.astype(np.float64) - low) / ((high - low) or 1.0)


def _farthest(curve: Floats, first: int, last: int) -> tuple[float, int, int, int]:
    """The point of a stretch farthest from its chord, as (-distance, position, first, last) for a heap."""
    if last - first < 2:
        return 0.0, first, first, last
    offsets = curve[first + 1 : last] - curve[first]
    chord = curve[last] - curve[first]
    length = float(np.linalg.norm(chord))
    along = offsets @ (chord / length) if length else np.zeros(len(offsets))
    # Squared distances lose half of the digits: far below the tolerance still.
    squared = np.einsum("ij,ij->i", offsets, offsets) - along**2
    position = int(np.argmax(squared))
    return -float(np.sqrt(max(squared[position], 0.0))), first + 1 + position, first, last
