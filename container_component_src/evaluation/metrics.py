"""Metrics of anomaly scores against labelled rows and reported events.

All thresholds are evaluated at once from sorted scores; a row is then in alarm if its score exceeds the threshold, and
an event detected if one of its rows is. The alarms of a rule, which may have two levels, are evaluated one rule at a
time.

The composite F1 score is the harmonic mean of point-wise precision and event-wise recall (Garg et al. 2021, "An
Evaluation of Anomaly Detection and Diagnosis in Multivariate Time Series"): the first alarm detects an event, while
every row of a false alarm lowers precision.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import Float64Array, IntArray
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores, Scores
from container_component_src.evaluation.operator_metrics import f_beta, operator_metrics
from container_component_src.evaluation.result import ThresholdMetrics

MAX_POINTS = 100_000  # of a curve; more thresholds are evaluated, but only these are kept

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True)
class MetricCurve:
    """Counts and rates of ascending thresholds; every array has the shape [points]."""

    threshold: Float64Array
    true_positives: IntArray  # rows
    false_positives: IntArray  # rows
    events_detected: IntArray
    positives: int  # anomalous rows
    negatives: int  # normal rows
    events: int

    @cached_property
    def precision(self) -> Float64Array:
        """Share of the rows in alarm that are anomalous; every threshold has at least one alarm."""
        return np.asarray(self.true_positives / (self.true_positives + self.false_positives))

    @cached_property
    def recall(self) -> Float64Array:
        """Share of the anomalous rows that are in alarm."""
        return self.true_positives / self.positives

    @cached_property
    def false_positive_rate(self) -> Float64Array:
        """Share of the normal rows that are in alarm."""
        return self.false_positives / self.negatives

    @cached_property
    def event_recall(self) -> Float64Array:
        """Share of the events with at least one alarm."""
        return self.events_detected / self.events

    @cached_property
    def f1(self) -> Float64Array:
        """Harmonic mean of precision and recall."""
        return f_beta(self.precision, self.recall, 1)

    @cached_property
    def composite_f1(self) -> Float64Array:
        """Harmonic mean of precision and event recall."""
        return f_beta(self.precision, self.event_recall, 1)

    @property
    def best(self) -> int:
        """Position of the highest composite F1: an upper bound, because it is chosen on the test labels."""
        return int(np.argmax(self.composite_f1))


def metric_curve(data: LabelledScores) -> MetricCurve:
    """Evaluate every threshold that makes a difference.

    Returns:
        One point for each distinct score but the highest, and one just below the lowest score, where all rows are in
        alarm. If there are more than `MAX_POINTS`, the curve holds points spread evenly over the ranks of all scores
        and of the anomalous scores, and the best point.
    """
    levels = np.unique(data.scores)
    thresholds = np.concatenate([np.nextafter(levels[:1], levels.dtype.type(-np.inf)), levels[:-1]])
    if len(levels) > MAX_POINTS:
        everywhere = np.linspace(0, len(levels) - 1, MAX_POINTS // 2).astype(np.int64)
        ranks = np.linspace(0, len(data.anomalous_scores) - 1, MAX_POINTS // 2).astype(np.int64)
        at_anomalies = np.searchsorted(levels, data.anomalous_scores[ranks])
        thresholds = thresholds[np.unique([*everywhere, *at_anomalies, _best(data, thresholds)])]
    return _curve_at(data, thresholds)


def _best(data: LabelledScores, thresholds: Scores) -> int:
    """Return the position of the first threshold with the highest composite F1, searched in batches."""
    best, position = -1.0, 0
    for first in range(0, len(thresholds), MAX_POINTS):
        curve = _curve_at(data, thresholds[first : first + MAX_POINTS])
        if (value := float(curve.composite_f1[curve.best])) > best:
            best, position = value, first + curve.best
    return position


def _curve_at(data: LabelledScores, thresholds: Scores) -> MetricCurve:
    peaks = np.sort(data.event_peaks)

    def exceeding(ascending: Scores) -> IntArray:
        return len(ascending) - np.searchsorted(ascending, thresholds, side="right")

    return MetricCurve(
        threshold=thresholds.astype(np.float64),
        true_positives=exceeding(data.anomalous_scores),
        false_positives=exceeding(data.normal_scores),
        events_detected=exceeding(peaks),
        positives=len(data.anomalous_scores),
        negatives=len(data.normal_scores),
        events=len(peaks),
    )


def metrics_at(alarms: FoundAlarms) -> ThresholdMetrics:
    """Return all metrics of alarms."""
    data = alarms.data
    true_positives = int(np.count_nonzero(alarms.rows & ~data.is_normal))
    false_positives = int(np.count_nonzero(alarms.rows & data.is_normal))
    positives = int(np.count_nonzero(data.labels))
    rows_in_alarm = true_positives + false_positives
    precision = true_positives / rows_in_alarm if rows_in_alarm else None
    operators = operator_metrics(alarms)
    return ThresholdMetrics(
        threshold=alarms.rule.raise_above,
        clear_threshold=alarms.rule.clear_below,
        true_positives=true_positives,
        false_positives=false_positives,
        false_negatives=positives - true_positives,
        true_negatives=len(data.labels) - positives - false_positives,
        precision=precision,
        recall=true_positives / positives,
        f1=2 * true_positives / (rows_in_alarm + positives),
        composite_f1=float(f_beta(precision or 0.0, operators.event_recall, 1)),
        **operators.model_dump(),
    )


def best_rule(curve: MetricCurve, rule: AlarmRule) -> AlarmRule:
    """Return the rule with the threshold of the highest composite F1 as its only level.

    The threshold is chosen on the test labels, by the rows above it. So it is an upper bound for rules of one level
    without a least duration, and for others what a single level can be expected to reach at most.
    """
    return rule.at(float(curve.threshold[curve.best]))


def roc_auc(data: LabelledScores) -> float:
    """Return the area under the ROC curve.

    It is the probability that an anomalous row scores above a normal one, where a tie counts half (Mann & Whitney 1947,
    "On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other"). With sorted scores it
    takes one search and no further memory.
    """
    below = sum(int(np.searchsorted(data.normal_scores, data.anomalous_scores, side).sum()) for side in _SIDES)
    return below / 2 / (len(data.normal_scores) * len(data.anomalous_scores))


def pr_auc(data: LabelledScores) -> float:
    """Return the average precision: the precision at each anomalous score, weighted by the recall that it adds."""
    levels, rows = np.unique(data.anomalous_scores, return_counts=True)
    true_positives = len(data.anomalous_scores) - np.searchsorted(data.anomalous_scores, levels)
    false_positives = len(data.normal_scores) - np.searchsorted(data.normal_scores, levels)
    precision = true_positives / (true_positives + false_positives)
    return float(np.average(precision, weights=rows))
