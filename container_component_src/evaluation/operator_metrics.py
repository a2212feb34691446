"""Metrics of alarms as operators see them.

The first three are those of the European Space Agency's benchmark (Kotowski et al. 2024, "European Space Agency
Benchmark for Anomaly Detection in Satellite Telemetry"), whose fourth, about channels, is in `root_cause`. An event is
detected if at least one of its rows is in alarm, and an alarm is false if none of its rows is in an event.
"""

import math

import numpy as np

from container_component_src.arrays import BoolArray, Float64Array, IntArray
from container_component_src.evaluation.affiliation import affiliation
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.result import OperatorMetrics

BETA = 0.5  # precision counts twice as much as recall
TIMING_EXPONENT = math.e


def operator_metrics(data: LabelledScores, threshold: float) -> OperatorMetrics:
    """Return the metrics of one threshold."""
    alarms = data.alarm_bounds(threshold)
    first, stop = data.event_bounds.T
    next_alarm = np.searchsorted(alarms[:, 1], first, side="right")  # the first that ends in or after the event
    alarms_of_event = np.searchsorted(alarms[:, 0], stop) - next_alarm
    found = alarms_of_event > 0
    precision = _event_precision(data, threshold, alarms, int(np.count_nonzero(found)))
    near = affiliation(~data.is_normal, data.alarms(threshold))
    return OperatorMetrics(
        event_precision=precision,
        event_f05=f_beta(precision or 0.0, float(found.mean())),
        alarming_precision=float(found.sum() / alarms_of_event.sum()) if found.any() else None,
        timing_quality=_timing_quality(data, found, alarms[next_alarm[found], 0]) if found.any() else None,
        affiliation_precision=near.precision,
        affiliation_recall=near.recall,
    )


def _event_precision(data: LabelledScores, threshold: float, alarms: IntArray, found: int) -> float | None:
    """Return the detected events' share of these and the false alarms, times that of the normal time without alarm.

    The factor is the correction of El Amine Sehili & Zhang 2023, "Multivariate Time Series Anomaly Detection: Fancy
    Algorithms and Flawed Evaluation Methodology": without it, one alarm that never ends is perfect.
    """
    if not len(alarms):
        return None
    padded = np.append(data.labels, 0)  # reduceat takes pairs of bounds; the padding makes the end a valid bound
    false = np.count_nonzero(np.maximum.reduceat(padded, alarms.ravel())[::2] == 0)
    quiet = data.days_of(data.is_normal & ~data.alarms(threshold)) / data.normal_days
    return found / (found + false) * quiet


def _timing_quality(data: LabelledScores, found: BoolArray, alarm_rows: IntArray) -> float:
    """Return the mean of the timing curve over the detected events.

    Args:
        data: Scores with labels and events.
        found: Whether each event is detected, [events].
        alarm_rows: First row of the first alarm of each detected event, [detected].
    """
    starts, ends = (np.array([getattr(event, name) for event in data.events_with_rows]) for name in ("start", "end"))
    length = ends - starts
    earlier = np.searchsorted(starts, starts) - 1  # the event that starts before; none before the first
    since_earlier = np.where(earlier < 0, length, starts - starts[earlier])
    latency = data.timestamps[alarm_rows] - starts[found]
    return float(timing_curve(latency, np.minimum(length, since_earlier)[found], length[found]).mean())


def timing_curve(latency: IntArray, allowance: IntArray, length: IntArray) -> Float64Array:
    """Return the quality of the time of the first alarm of each event, between 0 and 1, [events].

    It is 1 at the start of the event and falls to 0 at its end, and, before its start, at the allowance.

    Args:
        latency: Nanoseconds from the start of the event to that of the alarm, negative for an early alarm, [events].
        allowance: Nanoseconds by which an alarm may be early, [events].
        length: Nanoseconds of the event, [events].
    """
    early = np.clip(1 + latency / allowance, 0, 1) ** TIMING_EXPONENT
    left = np.maximum(length - latency, 0)
    late = left**TIMING_EXPONENT / (left**TIMING_EXPONENT + np.maximum(latency, 0.0) ** TIMING_EXPONENT)
    return np.where(latency <= 0, early, late)


def f_beta(precision: float, recall: float) -> float:
    """Return the weighted harmonic mean of precision and recall; 0 if both are 0."""
    total = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / total if total else 0.0
