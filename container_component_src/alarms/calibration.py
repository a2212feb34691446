"""Derivation of an alarm rule from scores of normal operation."""

import logging
from dataclasses import dataclass

import numpy as np

from container_component_src.alarms.expected_rate import ExpectedRate, expected_rate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.alarms.thresholds import alarm_threshold, parts_of, threshold_for
from container_component_src.alarms.tracker import find_alarms
from container_component_src.arrays import Float64Array, IntArray, Timestamps
from container_component_src.steps.calibration import AlarmSettings
from container_component_src.telemetry.smoothing import GAP_FACTOR, NANOSECONDS_PER_DAY, row_durations

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibratedRule:
    """A rule and what it was derived from.

    Attributes:
        rule: When scores raise and end an alarm.
        method: How the threshold was found, in words.
        days: Observed days of the scores.
        false_alarms_per_day: Alarms that the rule raises in them; None if they cover no time.
        highest_median: Highest median of the scores in a part, in nats; a higher one is a sign of drift.
    """

    rule: AlarmRule
    method: str
    days: float
    false_alarms_per_day: ExpectedRate | None
    highest_median: float


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
    median, days = float(np.median(scores)), row_durations(timestamps, max_gap_ns) / NANOSECONDS_PER_DAY

    def rule_at(threshold: float) -> AlarmRule:
        return AlarmRule(
            raise_above=threshold,
            clear_below=min(median + settings.clear_fraction * (threshold - median), threshold),
            min_duration_ns=_nanoseconds(settings.min_alarm_steps - 1, -0.5, max_gap_ns),
            merge_gap_ns=_nanoseconds(settings.merge_alarm_steps, 0.5, max_gap_ns),
            max_gap_ns=max_gap_ns,
        )

    def starts(threshold: float) -> list[int]:
        return [span.start for span in find_alarms(timestamps, scores, rule_at(threshold))[0]]

    if settings.target_false_alarms_per_day:
        alarms = _allowed_alarms(settings.target_false_alarms_per_day, float(days.sum()))
        threshold = threshold_for(alarms, scores, lambda score: len(starts(score)))
        method = f"at most {settings.target_false_alarms_per_day:g} false alarms a day in the calibration data"
    else:
        threshold, found = alarm_threshold(scores, settings.alarm_quantile, settings.threshold_method)
        method = f"{found.replace('_', ' ')} {settings.alarm_quantile:g} of the smoothed calibration scores"
    return CalibratedRule(
        rule=rule_at(threshold),
        method=method,
        days=float(days.sum()),
        false_alarms_per_day=_rate(np.searchsorted(timestamps, starts(threshold)), days),
        highest_median=max(float(np.median(part)) for part in parts_of(scores)),
    )


def _allowed_alarms(per_day: float, days: float) -> int:
    """Return the alarms in some days that are no more than so many a day."""
    allowed = int(per_day * days)
    if not allowed:
        logger.warning(
            "%.3g days of calibration data are too few to find a threshold for %g false alarms a day, so it is their "
            "highest score; use more calibration data, or a higher target",
            days,
            per_day,
        )
    return allowed


def _rate(alarms: IntArray, days: Float64Array) -> ExpectedRate | None:
    """Return the alarms a day; None if there are no days.

    Args:
        alarms: First row of each alarm, [alarms].
        days: Length of each row, [rows].
    """
    if not days.sum():
        return None
    counts = np.zeros(len(days), dtype=np.int64)
    counts[alarms] = 1
    parts = zip(parts_of(counts), parts_of(days), strict=True)
    per_part = np.array([(part.sum(), length.sum()) for part, length in parts])
    return expected_rate(per_part[:, 0], per_part[:, 1])


def _nanoseconds(steps: int, tolerance: float, max_gap_ns: int | None) -> int:
    """Return a number of median time steps as a time, changed by a tolerance in steps because steps vary."""
    return round((steps + tolerance) * max_gap_ns / GAP_FACTOR) if steps and max_gap_ns else 0
