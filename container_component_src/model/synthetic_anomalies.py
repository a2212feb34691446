"""Synthetic anomalies in normal data, to compare detectors where no anomaly is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from container_component_src.arrays import BoolArray, Float32Array, Float64Array, Int8Array, IntArray

GUARD_ROWS = 20  # after an anomaly, where windowed scores stay high
_SHARE = 0.1  # of the rows that become anomalous
_LEAST_SIZE, _LARGEST_SIZE = 0.5, 5.0  # of a change, in units of the channel's scale
_CHANNEL_SHARE = 0.25  # most channels of an anomaly
_IQR_OF_NORMAL = 1.349  # interquartile range of the standard normal distribution
_LEAST_IQR = 0.1  # standard deviations; a smaller one says nothing about the scale, as in a channel that seldom changes


class Kind(StrEnum):
    """How the values of an anomaly differ from the normal ones."""

    SPIKE = "spike"  # a step up or down for a moment
    SHIFT = "shift"  # a step that lasts
    DRIFT = "drift"  # a growing distance
    STUCK = "stuck"  # the value before the anomaly stays
    NOISE = "noise"  # random noise in addition


LENGTHS = {  # shortest and longest anomaly, in rows
    Kind.SPIKE: (1, 3),
    Kind.SHIFT: (5, 40),
    Kind.DRIFT: (10, 60),
    Kind.STUCK: (10, 60),
    Kind.NOISE: (5, 40),
}


@dataclass(frozen=True)
class SyntheticAnomaly:
    """A change of consecutive rows.

    Attributes:
        kind: How the values change.
        first: Position of the first row, at least 1.
        stop: Position after the last row.
        channels: Positions of the channels that change, [changed channels].
        steps: Signed size of the change of each of them in the units of the values; `stuck` has no use for it.
    """

    kind: Kind
    first: int
    stop: int
    channels: IntArray
    steps: Float64Array


@dataclass(frozen=True)
class Injection:
    """Data with synthetic anomalies."""

    values: Float32Array  # [rows, channels]
    labels: Int8Array  # [rows]; 1 in the anomalies
    left_out: BoolArray  # [rows]; normal rows that say nothing, because scores fall slowly after an anomaly


def inject(values: Float32Array, starts: IntArray, seed: int | Sequence[int]) -> Injection:
    """Return a copy of the values with synthetic anomalies in about a tenth of the rows.

    An anomaly that changes no value, as a channel stuck at the value that it keeps anyway, is not labelled.

    Args:
        values: Normal data, [rows, channels].
        starts: Position of the first row after the last gap before each row, [rows].
        seed: Seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    changed, labels = values.copy(), np.zeros(len(values), dtype=np.int8)
    after = np.zeros(len(values), dtype=np.bool_)
    for anomaly in draw(starts, channel_scales(values), rng):
        rows = slice(anomaly.first, anomaly.stop)
        changed[rows] = disturbed(values, anomaly, rng)
        labels[rows] = (changed[rows] != values[rows]).any()
        after[anomaly.stop : anomaly.stop + GUARD_ROWS] = True
    return Injection(changed, labels, after & (labels == 0))


def channel_scales(values: Float32Array) -> Float64Array:
    """Return a robust standard deviation of each channel, 0 for a constant one, [channels].

    It is that of a normal distribution with the same interquartile range. Where most values are the same, it is the
    usual standard deviation.

    Args:
        values: Shape [rows, channels].
    """
    low, high = np.quantile(values, [0.25, 0.75], axis=0)
    robust = (high - low).astype(np.float64) / _IQR_OF_NORMAL
    deviations = values.std(axis=0, dtype=np.float64)
    scales = np.where(robust > _LEAST_IQR * deviations, robust, deviations)
    return np.where(np.ptp(values, axis=0) > 0, scales, 0.0)


def draw(starts: IntArray, scales: Float64Array, rng: np.random.Generator) -> Iterator[SyntheticAnomaly]:
    """Yield anomalies of all kinds that neither overlap nor cross gaps, one after another in a random order of time.

    The row before an anomaly is normal, and there is no gap between them. Anomalies keep a distance of their length.

    Args:
        starts: Position of the first row after the last gap before each row, [rows].
        scales: Scale of each channel in the units of the values, [channels]; channels of scale 0 do not change.
        rng: Source of random numbers.
    """
    rows, kinds, free = len(starts), tuple(Kind), np.ones(len(starts), dtype=np.bool_)
    for attempt in range(rows if scales.any() else 0):
        if np.count_nonzero(~free) >= _SHARE * rows:
            return
        kind = kinds[attempt % len(kinds)]
        length = int(rng.integers(*LENGTHS[kind], endpoint=True))
        first = int(rng.integers(1, max(2, rows - length)))
        stop = first + length
        if stop > rows or starts[stop - 1] >= first or not free[max(0, first - length) : stop + length].all():
            continue
        free[first:stop] = False
        channels = _some_channels(np.flatnonzero(scales), rng)
        sizes = np.exp(rng.uniform(np.log(_LEAST_SIZE), np.log(_LARGEST_SIZE), len(channels))) * rng.choice(
            (-1.0, 1.0), len(channels)
        )
        yield SyntheticAnomaly(kind, first, stop, channels, sizes * scales[channels])


def _some_channels(channels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return at least one and at most a quarter of the channels; few are as likely as many."""
    most = max(1, int(_CHANNEL_SHARE * len(channels)))
    count = min(most, int((most + 1) ** rng.uniform()))
    return rng.choice(channels, count, replace=False)


def disturbed(values: Float32Array, anomaly: SyntheticAnomaly, rng: np.random.Generator) -> Float32Array:
    """Return the rows of an anomaly with all channels, [rows of the anomaly, channels].

    Args:
        values: Normal data, [rows, channels].
        anomaly: What happens to them.
        rng: Source of the noise.
    """
    rows, channels = values[anomaly.first : anomaly.stop].copy(), anomaly.channels
    length = len(rows)
    match anomaly.kind:
        case Kind.SPIKE | Kind.SHIFT:
            rows[:, channels] += anomaly.steps
        case Kind.DRIFT:
            rows[:, channels] += anomaly.steps * np.linspace(1 / length, 1, length)[:, np.newaxis]
        case Kind.NOISE:
            rows[:, channels] += anomaly.steps * rng.standard_normal((length, len(channels)))
        case Kind.STUCK:
            rows[:, channels] = values[anomaly.first - 1, channels]
    return rows
