"""Blocks of nominal time, which stratified draws divide among the training, validation and calibration sets.

Blocks that are drawn independently miss the wanted share where they are few. Here, the nominal time is cut into blocks
of equal length, consecutive blocks form as many strata as there are blocks to draw, and a seeded hash picks one block
of each stratum. The blocks of the smallest set are drawn first, those of the next one from the blocks that remain, and
the largest set has the rest. The draws need no row but the first and the last timestamp, so they do not depend on the
partitions; their jitter keeps a rhythm of the data, such as days, from always meeting the same set.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import BoolArray, IntArray, Timestamps
from container_component_src.steps.data import SplitRule
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.hashing import uniform

_SHORTEST = 3_600_000  # nanoseconds; with more than 2^42 blocks, the integers below would overflow
_FRACTION_BITS = 20  # of the length of a stratum in blocks, a fixed-point number so that the strata have exact bounds


@dataclass(frozen=True)
class BlockDraw:
    """Which block is in which set.

    Attributes:
        first: First timestamp, in nanoseconds.
        starts: Starts of the windows of the test set, disjoint and ascending, shape [windows].
        covered: Nanoseconds in the first 0, 1, … windows, shape [windows + 1].
        length: Nanoseconds of nominal time in a block.
        count: Number of blocks.
        rule: The wanted shares and the seed.
    """

    first: int
    starts: Timestamps
    covered: IntArray
    length: int
    count: int
    rule: SplitRule

    @classmethod
    def over(cls, period: tuple[int, int], events: Sequence[Event], rule: SplitRule) -> "BlockDraw":
        """Cut the nominal time of a period into blocks.

        The blocks are about as long as the rule says, and shorter if there would be too few for a set to get its share.

        Args:
            period: First and last timestamp, in nanoseconds.
            events: All reported events; the windows around them are not nominal.
            rule: Lengths, shares and seed.
        """
        windows = _windows(events, nanoseconds(rule.window_hours), period[0], period[1] + 1)
        lengths = np.array([end - start for start, end in windows], dtype=np.int64)
        nominal = period[1] + 1 - period[0] - int(lengths.sum())
        most = max(nominal // _SHORTEST, 1)
        least = math.ceil(min(1 / min(rule.shares.values()), most))
        count = min(max(round(nominal / nanoseconds(rule.block_hours)), least), most)
        starts = np.array([start for start, _ in windows], dtype=np.int64)
        covered = np.concatenate([[0], np.cumsum(lengths)])
        return cls(period[0], starts, covered, max(nominal // count, 1), count, rule)

    def blocks(self, timestamps: Timestamps) -> IntArray:
        """Return the number of the block of each nominal row, [rows]; windows of the test set do not count as time."""
        nominal = timestamps - self.first - self.covered[np.searchsorted(self.starts, timestamps, side="right")]
        numbers: IntArray = np.clip(nominal // self.length, 0, self.count - 1)
        return numbers

    def sets(self, timestamps: Timestamps) -> dict[str, BoolArray]:
        """Return which nominal rows are in a block of each set, [rows], by the name of the set."""
        blocks, shares = self.blocks(timestamps), self.rule.shares
        wanted = {name: max(round(share * self.count), 1) for name, share in shares.items()}
        smallest, middle, largest = sorted(shares, key=shares.__getitem__)
        first, before = _draw(blocks, self.count, wanted[smallest], 2 * self.rule.seed)
        ranks, left = blocks - before, max(self.count - wanted[smallest], 1)  # among the blocks that are not drawn yet
        second = ~first & _draw(ranks, left, wanted[middle], 2 * self.rule.seed + 1)[0]
        return {smallest: first, middle: second, largest: ~(first | second)}


def nanoseconds(hours: float) -> int:
    """Return a time in nanoseconds."""
    return round(hours * 3600 * 10**9)


def _draw(numbers: IntArray, count: int, wanted: int, seed: int) -> tuple[BoolArray, IntArray]:
    """Draw one of each stratum of consecutive numbers.

    Args:
        numbers: Any of the numbers from 0 to `count` - 1, [numbers].
        count: How many there are to draw from.
        wanted: How many to draw.
        seed: Seed of the draw.

    Returns:
        Which of the numbers are drawn, and how many smaller ones are drawn, [numbers] each.
    """
    size = -((-count << _FRACTION_BITS) // wanted)  # of a stratum, rounded up
    strata = (((numbers + 1) << _FRACTION_BITS) - 1) // size  # the last ones that start at or before the numbers
    starts, ends = strata * size >> _FRACTION_BITS, (strata + 1) * size >> _FRACTION_BITS
    drawn = starts + (uniform(strata, seed) * (ends - starts)).astype(np.int64)
    return numbers == drawn, strata + (drawn < numbers)


def _windows(events: Sequence[Event], margin: int, first: int, stop: int) -> list[tuple[int, int]]:
    """Return the time from `first` to before `stop` that is in an event or near one, as disjoint intervals."""
    merged: list[tuple[int, int]] = []
    for event in sorted(events, key=lambda event: event.start):
        start, end = max(event.start - margin, first), min(event.end + margin, stop)
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(merged.pop()[1], end)
        if start < end:
            merged.append((start, end))
    return merged
