"""Evaluations of which only what the gate and the verdict read is set."""

from typing import Any

from container_component_src.evaluation.result import BaselineResult, EvaluationResult, Interval, ThresholdMetrics

AREAS = ("roc_auc", "pr_auc")


def metrics(composite_f1: float, false_alarms_per_day: float | None = 1.5) -> ThresholdMetrics:
    known: dict[str, Any] = {"event_recall": 0.5, "alarm_precision": 0.5, "event_f05": 0.5}
    return ThresholdMetrics.model_construct(
        composite_f1=composite_f1, false_alarms_per_day=false_alarms_per_day, **known
    )


def baseline(name: str, pr_auc: float, composite_f1: float, lows: tuple[float, ...] = ()) -> BaselineResult:
    """Make a baseline; `lows` are the lower ends of the intervals of the model's leads in the areas."""
    known: dict[str, Any] = {
        "roc_auc": 0.6,
        "pr_auc": pr_auc,
        "vus_pr": pr_auc + 0.1,
        "advantage": {area: Interval(low=low, high=low + 0.1) for area, low in zip(AREAS, lows, strict=False)},
        "calibrated": metrics(composite_f1),
        "best": metrics(composite_f1),
    }
    return BaselineResult.model_construct(name=name, **known)


def evaluation(
    *baselines: BaselineResult, pr_auc: float = 0.8, composite_f1: float = 0.7, rate: float | None = 1.5
) -> EvaluationResult:
    known: dict[str, Any] = {
        "roc_auc": 0.9,
        "pr_auc": pr_auc,
        "vus_pr": 0.85,
        "calibrated": metrics(composite_f1, rate),
        "best": metrics(0.75),
    }
    return EvaluationResult.model_construct(baselines=baselines, **known)
