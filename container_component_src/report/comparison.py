"""The new model beside the deployed one, as a table and in words."""

from collections.abc import Iterator
from typing import NamedTuple

from container_component_src.evaluation.result import Interval
from container_component_src.promotion.result import BothModels, ComparedModel, Comparison
from container_component_src.report.text import NONE, fraction, metric_text, short_number

_METRICS = {
    "composite_f1": "Composite F1",
    "event_f05": "Event F0.5",
    "event_recall": "Share of events found",
    "alarm_precision": "Precision of alarms",
    "false_alarms_per_day": "False alarms a day",
    "alarms_per_day": "Alarms a day",
    "median_detection_delay_s": "Detection delay, median",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
}


class MetricRow(NamedTuple):
    """Texts of a metric of both models."""

    name: str
    champion: str
    challenger: str
    gain: str
    interval: str


def metric_rows(models: BothModels) -> Iterator[MetricRow]:
    """Yield the metrics of both models, and what the new one gains; a gain in a rate or a delay is an increase."""
    for metric, name in _METRICS.items():
        old, new = _value(models.champion, metric), _value(models.challenger, metric)
        shown = metric_text(metric, old), metric_text(metric, new)
        yield MetricRow(name, *shown, _gain(metric, old, new), _interval(metric, models.gains.get(metric)))


def comparison_verdict(comparison: Comparison) -> str:
    """Return in one sentence whether the model replaces the deployed one."""
    if not comparison.promoted:
        return "The model does not replace the deployed one, which stays."
    if not comparison.champion:
        return "The model is promoted without a comparison."
    return "The model replaces the deployed one." if comparison.models else "The model is the deployed one."


def comparison_reason(comparison: Comparison) -> str:
    """Return why, as a sentence."""
    return f"{comparison.reason[:1].upper()}{comparison.reason[1:]}."


def _value(model: ComparedModel, metric: str) -> float | None:
    found: float | None = getattr(model if metric in type(model).model_fields else model.metrics, metric)
    return found


def _gain(metric: str, old: float | None, new: float | None) -> str:
    if old is None or new is None:
        return NONE
    if metric.endswith("_s"):
        return ("+" if new > old else "") + metric_text(metric, new - old)
    return _signed(metric, new - old)


def _interval(metric: str, interval: Interval | None) -> str:
    return f"{_signed(metric, interval.low)} to {_signed(metric, interval.high)}" if interval else NONE


def _signed(metric: str, value: float) -> str:
    return (short_number if metric.endswith("_per_day") else fraction)(value, sign=True)
