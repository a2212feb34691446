"""Blocks of nominal time, of which a stratified draw takes some for validation.

Blocks that are drawn independently miss the wanted share where they are few. Here, the nominal time is cut into blocks
of equal length, consecutive blocks form as many strata as there are blocks to draw, and a seeded hash picks one block
of each stratum. The draw needs no row but the first and the last timestamp, so it does not depend on the partitions;
its jitter keeps a rhythm of the data, such as days, from always meeting the same set.
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
    """Which blocks validate.

    Attributes:
        first: First timestamp, in nanoseconds.
        starts: Starts of the windows of the test set, disjoint and ascending, shape [windows].
        covered: Nanoseconds in the first 0, 1, … windows, shape [windows + 1].
        length: Nanoseconds of nominal time in a block.
        count: Number of blocks.
        rule: The wanted share and the seed.
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

        The blocks are about as long as the rule says, and shorter if there would be too few to keep the share.

        Args:
            period: First and last timestamp, in nanoseconds.
            events: All reported events; the windows around them are not nominal.
            rule: Lengths, share and seed.
        """
        windows = _windows(events, nanoseconds(rule.window_hours), period[0], period[1] + 1)
        lengths = np.array([end - start for start, end in windows], dtype=np.int64)
        nominal = period[1] + 1 - period[0] - int(lengths.sum())
        wanted = max(round(nominal / nanoseconds(rule.block_hours)), math.ceil(1 / _drawn_share(rule)))
        count = min(wanted, max(nominal // _SHORTEST, 1))
        starts = np.array([start for start, _ in windows], dtype=np.int64)
        covered = np.concatenate([[0], np.cumsum(lengths)])
        return cls(period[0], starts, covered, max(nominal // count, 1), count, rule)

    def blocks(self, timestamps: Timestamps) -> IntArray:
        """Return the number of the block of each nominal row, [rows]; windows of the test set do not count as time."""
        nominal = timestamps - self.first - self.covered[np.searchsorted(self.starts, timestamps, side="right")]
        numbers: IntArray = np.clip(nominal // self.length, 0, self.count - 1)
        return numbers

    def validates(self, timestamps: Timestamps) -> BoolArray:
        """Return which nominal rows are in a block for validation, [rows]."""
        blocks, share = self.blocks(timestamps), _drawn_share(self.rule)
        size = -((-self.count << _FRACTION_BITS) // max(round(share * self.count), 1))  # of a stratum, rounded up
        strata = (((blocks + 1) << _FRACTION_BITS) - 1) // size  # the last ones that start at or before the blocks
        starts, ends = strata * size >> _FRACTION_BITS, (strata + 1) * size >> _FRACTION_BITS
        drawn: BoolArray = blocks == starts + (uniform(strata, self.rule.seed) * (ends - starts)).astype(np.int64)
        return drawn if self.rule.val_fraction <= share else ~drawn


def nanoseconds(hours: float) -> int:
    """Return a time in nanoseconds."""
    return round(hours * 3600 * 10**9)


def _drawn_share(rule: SplitRule) -> float:
    """Return the share of the blocks that are drawn: for validation, or for training if these are fewer."""
    return min(rule.val_fraction, 1 - rule.val_fraction)


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
