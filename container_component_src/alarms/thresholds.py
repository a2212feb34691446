"""Alarm thresholds from scores of normal operation, by several methods."""

import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float64Array
from container_component_src.steps.calibration import TAIL_START, ThresholdMethod

PARTS = 30  # most parts of the scores, in order of time
PART_ROWS = 20  # least rows of a part
PARTS_QUANTILE = 0.9  # of the parts' quantiles; chosen by measurement, see docs/results.md
TAIL_SCORES = 10  # minimum number of different scores in the tail for a fit

N = TypeVar("N", bound=np.number)

logger = logging.getLogger(__name__)


def parts_of(rows: npt.NDArray[N]) -> list[npt.NDArray[N]]:
    """Return up to `PARTS` consecutive parts of an array [rows] with equally many rows."""
    return np.array_split(rows, min(max(len(rows) // PART_ROWS, 1), PARTS))


def alarm_threshold(scores: Float64Array, quantile: float, method: ThresholdMethod) -> tuple[float, ThresholdMethod]:
    """Return the threshold in nats and the method that found it: `quantile` if the scores have no tail to fit."""
    if method == "robust_quantile":
        return robust_quantile(scores, quantile), method
    if method == "peaks_over_threshold":
        found = tail_quantile(scores, quantile)
        if found is not None:
            return found, method
        logger.warning(
            "no distribution fits the highest %g %% of %d calibration scores, so the threshold is their quantile %g; "
            "use more calibration rows, or another --threshold-method",
            100 * (1 - TAIL_START),
            len(scores),
            quantile,
        )
    return float(np.quantile(scores, quantile)), "quantile"


def robust_quantile(scores: Float64Array, quantile: float) -> float:
    """Return the score that the quantile of the scores in a part does not exceed in nine of ten parts.

    Anomalies that nobody reported raise the quantile of the parts that they are in, but not this one.
    """
    return float(np.quantile([np.quantile(part, quantile) for part in parts_of(scores)], PARTS_QUANTILE))


def threshold_for(alarms: int, scores: Float64Array, count: Callable[[float], int]) -> float:
    """Return the lowest score that raises at most so many alarms as the threshold.

    The search starts at the highest score, because a low threshold raises very many alarms. It stops at the median.

    Args:
        alarms: Most alarms.
        scores: Shape [rows].
        count: Returns the alarms of a threshold.
    """
    levels = np.unique(scores[scores >= np.median(scores)])
    found, step = len(levels) - 1, 1  # the highest score raises none
    while found >= step and count(float(levels[found - step])) <= alarms:
        found, step = found - step, 2 * step
    too_low = max(found - step, -1)
    while found - too_low > 1:
        middle = (found + too_low) // 2
        if count(float(levels[middle])) <= alarms:
            found = middle
        else:
            too_low = middle
    return float(levels[found])


def tail_quantile(scores: Float64Array, quantile: float) -> float | None:
    """Return a quantile of the scores by the peaks-over-threshold method; it may exceed the highest score.

    A generalised Pareto distribution is fitted by maximum likelihood to the excesses over a high score (Pickands 1975,
    "Statistical Inference Using Extreme Order Statistics"). Source of its use for alarm thresholds: Siffer et al. 2017,
    "Anomaly Detection in Streams with Extreme Value Theory".

    Args:
        scores: Shape [rows].
        quantile: Above `TAIL_START`.

    Returns:
        The quantile; None if the tail has too few different scores, does not reach down to the quantile, or has no fit.
    """
    start = float(np.quantile(scores, TAIL_START))
    excesses = scores[scores > start] - start
    share = (1 - quantile) * len(scores) / max(1, len(excesses))  # of the tail that is above the quantile
    if len(np.unique(excesses)) < TAIL_SCORES or share > 1:
        return None
    from scipy.stats import FitError, genpareto  # noqa: PLC0415 - slow, and only for this method

    try:
        shape, _, scale = genpareto.fit(excesses, floc=0)
    except FitError:
        return None
    found = start + float(genpareto.isf(share, shape, scale=scale))
    return found if np.isfinite(found) else None
