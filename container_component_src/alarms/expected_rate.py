"""Alarms a day that normal operation raises: an estimate with its uncertainty."""

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.values import Frozen

CONFIDENCE = 0.95
_RESAMPLES = 1_000
_SEED = 0


class ExpectedRate(Frozen):
    """Alarms a day that normal operation raises, and their 95 % interval."""

    estimate: float
    low: float
    high: float


def expected_rate(alarms: Float64Array, days: Float64Array) -> ExpectedRate:
    """Return the rate of alarms with an interval that contains both of two.

    One is a bootstrap over the parts, which shows how much they differ (Efron 1979, "Bootstrap Methods: Another Look at
    the Jackknife"). The other one is `poisson_interval`.

    Args:
        alarms: Alarms that start in each part, [parts].
        days: Length of each part, [parts]; not all are 0.
    """
    count, total = int(alarms.sum()), float(days.sum())
    tail = (1 - CONFIDENCE) / 2
    poisson_low, poisson_high = poisson_interval(count, total)
    drawn = np.random.default_rng(_SEED).multinomial(len(days), np.full(len(days), 1 / len(days)), _RESAMPLES)
    lengths = drawn @ days
    rates = (drawn @ alarms)[lengths > 0] / lengths[lengths > 0]
    low, high = np.quantile(rates, [tail, 1 - tail])
    return ExpectedRate(estimate=count / total, low=min(float(low), poisson_low), high=max(float(high), poisson_high))


def poisson_interval(count: int, days: float) -> tuple[float, float]:
    """Return the interval of a rate per day by the number of alarms in some days, as if these were independent.

    Source: Garwood 1936, "Fiducial Limits for the Poisson Distribution". It knows that no alarm in a short time does
    not mean that there will be none.
    """
    from container_component_src.special_functions import gammaincinv  # noqa: PLC0415 - results are read without SciPy

    tail = (1 - CONFIDENCE) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low / days, float(gammaincinv(count + 1, 1 - tail)) / days
