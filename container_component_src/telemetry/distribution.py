"""Distribution of a series, and how much that of a part of it varies: the reference of a check for drift.

Neighbouring rows of telemetry are near copies, so a thousand of them say much less of a distribution than a thousand
independent values. How much less is measured: the series is cut into parts of equal duration, and the distance of each
part from all others is compared with that of independent values.
"""

from typing import Annotated, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat, model_validator

from container_component_src.arrays import Float64Array, IntArray, Timestamps
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_DAY
from container_component_src.values import Frozen

# Closer at both ends, where outliers are, and with the deciles.
LEVELS = (0.005, 0.01, 0.025, *(step / 20 for step in range(1, 20)), 0.975, 0.99, 0.995)
LEAST_PARTS = 8  # from which a variation is measured
LEAST_ROWS = 32  # of a part on average
_GROWTH_LENGTHS = 3  # doublings of the length from which the growth beyond the longest one is taken
_LEAST_DISTANCE = 1e-9  # of a part, so that equal ones have a number of rows
_ROOM = 1e-6  # around all values, as a share of their range and of their size, for rounding
_LEAST_ROOM = 1e-30

N = TypeVar("N", np.int64, np.float64)
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Distribution(Frozen):
    """Cumulative distribution of a series at some values, its edges, which lie between values that occur."""

    edges: tuple[FiniteFloat, ...] = Field(min_length=2)  # ascending; all values lie between the first and the last
    shares: tuple[Share, ...]  # of the values below each edge, from 0 to 1
    missing_share: Share = 0.0  # of the rows
    days: float = Field(0.0, ge=0)  # that the series covers, without gaps
    part_days: tuple[FiniteFloat, ...] = ()  # ascending lengths of parts; empty: the series is too short
    part_rows: tuple[FiniteFloat, ...] = ()  # independent values that vary as much as a part of each length
    part_outside: tuple[Share, ...] = ()  # largest share of the values of one such part outside the range of all others

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lengths = {len(self.part_days), len(self.part_rows), len(self.part_outside)}
        if len(self.edges) != len(self.shares) or len(lengths) > 1:
            raise ValueError("edges and shares, or lengths and rows, differ in number")
        if not (np.diff(self.edges) > 0).all() or not (np.diff(self.shares) >= 0).all():
            raise ValueError("edges or shares do not ascend")
        return self

    @classmethod
    def of(cls, timestamps: Timestamps, values: Float64Array, missing_share: float = 0.0) -> Self:
        """Return the distribution of finite values.

        Args:
            timestamps: Shape [rows], ascending.
            values: Shape [rows], at least one.
            missing_share: Share of the rows of the series without a value, which are not among these.
        """
        edges, shares = _edges(np.sort(values))
        step = int(np.median(np.diff(timestamps))) if len(timestamps) > 1 else 0
        days, rows, outside = _variation(timestamps, values, np.searchsorted(edges, values), LEAST_ROWS * step)
        return cls(
            edges=tuple(edges.tolist()),
            shares=tuple(shares.tolist()),
            missing_share=missing_share,
            days=len(timestamps) * step / NANOSECONDS_PER_DAY,
            part_days=tuple(days),
            part_rows=tuple(rows),
            part_outside=tuple(outside),
        )

    def independent_rows(self, days: float) -> float | None:
        """Return how many independent values would be as far from the distribution as a part of a length in days.

        Between two known lengths, the number is interpolated on logarithmic scales; below them, it is proportional to
        the length. Above them, it grows as it does between the longest known lengths: in proportion to the length only
        if neighbouring parts are independent. The distribution itself is known no better than from as many values as
        its own length has. None: unknown.
        """
        if not self.part_days or days <= 0:
            return None
        return 1 / (1 / self._rows_at(days) + 1 / self._rows_at(max(self.days, self.part_days[-1])))

    def _rows_at(self, days: float) -> float:
        lengths, rows = np.log(self.part_days), np.log(self.part_rows)
        length, before = np.log(days), max(-1 - _GROWTH_LENGTHS, -len(rows))
        growth = np.clip((rows[-1] - rows[before]) / max(lengths[-1] - lengths[before], np.log(2)), 0, 1)
        beyond = growth * max(length - lengths[-1], 0) + min(length - lengths[0], 0)
        return float(np.exp(np.interp(length, lengths, rows) + beyond))

    def usual_outside(self, days: float) -> float:
        """Return the largest share of the values of a part of a length in days outside the range of all others.

        That of the longest known part which is not longer, or of the shortest one; 0 if none is known.
        """
        if not self.part_days:
            return 0.0
        return self.part_outside[max(int(np.searchsorted(self.part_days, days, side="right")) - 1, 0)]


def pair_up(index: IntArray, counts: npt.NDArray[N]) -> tuple[IntArray, npt.NDArray[N]]:
    """Merge neighbouring parts of time, which doubles their length.

    Args:
        index: Ascending numbers of the parts, [parts]; part 0 starts at the epoch.
        counts: Counts or sums of each part, [parts, ...].
    """
    index = index // 2
    starts = np.flatnonzero(np.diff(index, prepend=index[0] - 1)) if len(index) else index
    return index[starts], np.add.reduceat(counts, starts, axis=0) if len(index) else counts


def _edges(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return edges around and between sorted values, and the share of the values below each.

    An edge lies in the middle between two values that occur, so that rounding moves no value across it.
    """
    rows = len(values)
    at_levels = values[np.ceil(np.array(LEVELS) * rows).astype(np.int64) - 1]  # the least values with these shares
    above = np.searchsorted(values, at_levels, side="right")
    above = np.unique(above[above < rows])
    room = max(float(values[-1] - values[0]) * _ROOM, float(np.abs(values[[0, -1]]).max()) * _ROOM, _LEAST_ROOM)
    between = (values[above - 1] + values[above]) / 2
    return np.array([values[0] - room, *between, values[-1] + room]), np.array([0.0, *(above / rows), 1.0])


def _variation(
    timestamps: Timestamps, values: Float64Array, bins: IntArray, length: int
) -> tuple[list[float], list[float], list[float]]:
    """Return lengths of parts in days, each twice the one before, and what `Distribution` has of such a part.

    Args:
        timestamps: Shape [rows], ascending.
        values: Shape [rows].
        bins: Bins of the values, [rows].
        length: The first length in nanoseconds; 0: unknown.
    """
    days: list[float] = []
    rows: list[float] = []
    outside: list[float] = []
    if not length:
        return days, rows, outside
    starts = _starts(timestamps, length)
    count = int(bins.max()) + 1
    part = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    counts = np.bincount(part * count + bins, minlength=len(starts) * count).reshape(-1, count)
    highest, lowest = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    while len(starts) >= LEAST_PARTS:
        sizes = np.diff(starts, append=len(values))
        whole = sizes >= np.median(sizes) / 2  # a part with a gap says little
        days.append(length / NANOSECONDS_PER_DAY)
        rows.append(_independent_rows(counts[whole]))
        above = _share_above_others(values, starts, np.where(whole, highest, -np.inf))
        below = _share_above_others(-values, starts, np.where(whole, -lowest, -np.inf))
        outside.append(max(above, below))
        length *= 2
        first = _starts(timestamps[starts], length)  # of two parts each
        starts, counts = starts[first], np.add.reduceat(counts, first, axis=0)
        highest, lowest = np.maximum.reduceat(highest, first), np.minimum.reduceat(lowest, first)
    return days, rows, outside


def _starts(timestamps: Timestamps, length: int) -> IntArray:
    """Return the positions of the first timestamps in parts of a length in nanoseconds; part 0 starts at the epoch."""
    numbers = timestamps // length
    return np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))


def _share_above_others(values: Float64Array, starts: IntArray, largest: Float64Array) -> float:
    """Return the share of the values of the part with the largest one that are above those of all others.

    Args:
        values: Shape [rows].
        starts: First row of each part, [parts].
        largest: Largest value of each part, [parts].
    """
    highest = int(largest.argmax())
    rows = slice(starts[highest], starts[highest + 1] if highest + 1 < len(starts) else None)
    return float((values[rows] > np.partition(largest, -2)[-2]).mean())


def _independent_rows(counts: IntArray) -> float:
    """Return how many independent values are as far from a distribution as a part is from all others.

    The distances are Kolmogorov-Smirnov statistics. That of n independent values has a known distribution, divided by
    the square root of n. The number is the smallest with which no quantile of the distances is above the known one:
    their median, their 90th percentile, and their largest.

    Args:
        counts: Values by part and bin, [parts, bins].
    """
    below, total = counts.cumsum(axis=1), counts.sum(axis=0).cumsum()
    own, others = below / below[:, -1:], (total - below) / np.maximum(total[-1] - below[:, -1:], 1)
    distances = np.abs(own - others).max(axis=1)
    levels = np.array([0.5, 0.9, 1.0])
    above = np.array([0.5, 0.1, 1 / (len(counts) + 1)])  # probability that a distance is above its quantile
    expected = np.sqrt(np.log(2 / above) / 2)  # the first term of the series of Kolmogorov's distribution
    both = float(((expected / np.maximum(np.quantile(distances, levels), _LEAST_DISTANCE)) ** 2).min())
    return both * len(counts) / (len(counts) - 1)  # without the variation of the others
