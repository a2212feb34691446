"""Metrics of alarms as operators see them.

Those of events are from the European Space Agency's benchmark (Kotowski et al. 2024, "European Space Agency Benchmark
for Anomaly Detection in Satellite Telemetry"); its metric of channels is in `root_cause`. `FoundAlarms` says when an
event is detected and when an alarm is false.
"""

import math

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.evaluation.affiliation import affiliation
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.result import OperatorMetrics

BETA = 0.5  # precision counts twice as much as recall
LATE = 0.9  # quantile of the detection delay
TIMING_EXPONENT = math.e


def operator_metrics(alarms: FoundAlarms) -> OperatorMetrics:
    """Return the metrics of alarms."""
    data, found, count = alarms.data, alarms.detected, len(alarms.spans)
    detected, false = int(np.count_nonzero(found)), int(np.count_nonzero(alarms.false))
    in_detected = int(alarms.alarms_per_event.sum())
    precision = detected / (detected + false) * _quiet_share(alarms) if count else None
    near = affiliation(~data.is_normal, alarms.rows)
    return OperatorMetrics(
        alarms=count,
        alarms_per_day=count / data.observed_days if data.observed_days else None,
        false_alarms=false,
        false_alarms_per_day=false / data.normal_days if data.normal_days else None,
        alarm_precision=1 - false / count if count else None,
        redundancy=in_detected / detected if detected else None,
        events_detected=detected,
        event_recall=float(found.mean()),
        median_detection_delay_s=float(np.median(alarms.delays_s)) if detected else None,
        p90_detection_delay_s=float(np.quantile(alarms.delays_s, LATE)) if detected else None,
        event_precision=precision,
        event_f05=float(f_beta(precision or 0.0, found.mean())),
        alarming_precision=detected / in_detected if detected else None,
        timing_quality=_timing_quality(alarms) if detected else None,
        affiliation_precision=near.precision,
        affiliation_recall=near.recall,
        rare_nominal_alarms=int(np.count_nonzero(alarms.apart)),
        rare_nominal_events_alarmed=int(np.count_nonzero(alarms.alarms_per_rare_event)),
    )


def _quiet_share(alarms: FoundAlarms) -> float:
    """Return the share of the normal time without alarm, by which the event precision is corrected.

    Source: El Amine Sehili & Zhang 2023, "Multivariate Time Series Anomaly Detection: Fancy Algorithms and Flawed
    Evaluation Methodology". Without it, one alarm that never ends is perfect.
    """
    data = alarms.data
    return data.days_of(data.is_normal & ~alarms.rows) / data.normal_days


def _timing_quality(alarms: FoundAlarms) -> float:
    """Return the mean of the timing curve over the detected events."""
    found, starts = alarms.detected, alarms.data.event_starts
    length = np.array([event.end for event in alarms.data.events_with_rows]) - starts
    earlier = np.searchsorted(starts, starts) - 1  # the event that starts before; none before the first
    since_earlier = np.where(earlier < 0, length, starts - starts[earlier])
    latency = alarms.raised[alarms.of_event[found, 0]] - starts[found]
    return float(timing_curve(latency, np.minimum(length, since_earlier)[found], length[found]).mean())


def timing_curve(latency: IntArray, allowance: IntArray, length: IntArray) -> Float64Array:
    """Return the quality of the time of the first alarm of each event, between 0 and 1, [events].

    It is 1 at the start of the event and falls to 0 at its end, and, before its start, at the allowance.

    Args:
        latency: Nanoseconds from the start of the event until the alarm is raised, negative for an early one, [events].
        allowance: Nanoseconds by which an alarm may be early, [events].
        length: Nanoseconds of the event, [events].
    """
    early = np.clip(1 + latency / allowance, 0, 1) ** TIMING_EXPONENT
    left = np.maximum(length - latency, 0)
    late = left**TIMING_EXPONENT / (left**TIMING_EXPONENT + np.maximum(latency, 0.0) ** TIMING_EXPONENT)
    return np.where(latency <= 0, early, late)


def f_beta(precision: npt.ArrayLike, recall: npt.ArrayLike, beta: float = BETA) -> Float64Array:
    """Return the weighted harmonic mean of precision and recall, in their shape; 0 where both are 0."""
    right, found = np.asarray(precision, dtype=np.float64), np.asarray(recall, dtype=np.float64)
    total = beta**2 * right + found
    return np.divide((1 + beta**2) * right * found, total, out=np.zeros_like(total), where=total > 0)
