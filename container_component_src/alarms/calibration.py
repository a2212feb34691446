"""Derivation of an alarm rule from scores of normal operation."""

import logging
from dataclasses import dataclass

import numpy as np

from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.tracker import find_alarms
from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.steps.calibration import TAIL_START, AlarmSettings, ThresholdMethod
from container_component_src.telemetry.smoothing import GAP_FACTOR, NANOSECONDS_PER_DAY
from container_component_src.values import Frozen

TAIL_SCORES = 10  # minimum number of different scores in the tail for a fit

logger = logging.getLogger(__name__)


class ExpectedRate(Frozen):
    """Alarms a day that normal operation raises, and their 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class CalibratedRule:
    """A rule and what it was derived from."""

    rule: AlarmRule
    method: str  # that found the threshold
    days: float  # of the scores
    false_alarms_per_day: ExpectedRate | None  # None if the scores cover no time


def calibrate_rule(
    timestamps: Timestamps, scores: Float64Array, settings: AlarmSettings, max_gap_ns: int | None
) -> CalibratedRule:
    """Derive a rule from the scores of normal operation.

    Args:
        timestamps: Shape [rows], ascending.
        scores: Smoothed scores in nats, [rows].
        settings: What to derive it by.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """
    threshold, method = alarm_threshold(scores, settings.alarm_quantile, settings.threshold_method)
    rule = AlarmRule(
        raise_above=threshold,
        clear_below=min(threshold, float(np.quantile(scores, settings.clear_quantile))),
        min_duration_ns=_nanoseconds(settings.min_alarm_steps - 1, -0.5, max_gap_ns),
        merge_gap_ns=_nanoseconds(settings.merge_alarm_steps, 0.5, max_gap_ns),
        max_gap_ns=max_gap_ns,
    )
    days = _days(timestamps, max_gap_ns)
    alarms, _ = find_alarms(timestamps, scores, rule)
    rate = len(alarms) / days if days else 0.0
    expected = ExpectedRate(estimate=rate, low=rate, high=rate) if days else None
    return CalibratedRule(rule, f"{method.replace('_', ' ')} of the smoothed calibration scores", days, expected)


def _nanoseconds(steps: int, tolerance: float, max_gap_ns: int | None) -> int:
    """Return a number of median time steps as a time, changed by a tolerance in steps because steps vary."""
    return round((steps + tolerance) * max_gap_ns / GAP_FACTOR) if steps and max_gap_ns else 0


def _days(timestamps: Timestamps, max_gap_ns: int | None) -> float:
    """Return the observed days; a gap counts as one median time step."""
    steps = np.diff(timestamps)
    if max_gap_ns is not None:
        steps = np.where(steps > max_gap_ns, max_gap_ns // GAP_FACTOR, steps)
    return float(steps.sum() / NANOSECONDS_PER_DAY)


def alarm_threshold(scores: Float64Array, quantile: float, method: ThresholdMethod) -> tuple[float, ThresholdMethod]:
    """Return the threshold in nats and the method that found it: `quantile` if the scores have no tail to fit."""
    if method == "peaks_over_threshold":
        found = tail_quantile(scores, quantile)
        if found is not None:
            return found, method
        logger.warning(
            "no distribution fits the highest %g %% of %d calibration scores, so the threshold is their quantile %g; "
            "use more calibration rows, or --threshold-method quantile",
            100 * (1 - TAIL_START),
            len(scores),
            quantile,
        )
    return float(np.quantile(scores, quantile)), "quantile"


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
