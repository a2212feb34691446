"""The verdict on the model and its baselines, in every case."""

from types import SimpleNamespace
from typing import Any

import pytest

from container_component_src.evaluation.result import BaselineResult, EvaluationResult, Interval, ThresholdMetrics
from container_component_src.report.baselines import baseline_verdict
from container_component_src.report.rendering import render
from container_component_src.steps.training import Detector

AREAS = ("roc_auc", "pr_auc")


def metrics(composite_f1: float) -> ThresholdMetrics:
    known: dict[str, Any] = {"event_recall": 0.5, "precision": 0.5, "false_alarms_per_day": 1.5}
    return ThresholdMetrics.model_construct(composite_f1=composite_f1, **known)


def baseline(name: str, areas: tuple[float, float], lows: tuple[float, ...], composite_f1: float) -> BaselineResult:
    known: dict[str, Any] = {
        **dict(zip(AREAS, areas, strict=True)),
        "advantage": {area: Interval(low=low, high=low + 0.1) for area, low in zip(AREAS, lows, strict=False)},
        "vus_pr": areas[1] + 0.1,
        "calibrated": metrics(composite_f1),
        "best": metrics(composite_f1),
    }
    return BaselineResult.model_construct(name=name, **known)


def result(*baselines: BaselineResult) -> EvaluationResult:
    known: dict[str, Any] = {
        "roc_auc": 0.9,
        "pr_auc": 0.8,
        "vus_pr": 0.85,
        "calibrated": metrics(0.7),
        "best": metrics(0.75),
    }
    return EvaluationResult.model_construct(baselines=baselines, **known)


WEAK = baseline("pca_residual", (0.6, 0.3), (0.2, 0.4), 0.2)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (
            baseline("mahalanobis", (0.85, 0.7), (0.01, 0.02), 0.6),
            "The model beats all 2 baselines in ROC AUC and PR AUC, and the 95 % interval of each lead lies above zero "
            "(+0.050 in ROC AUC, +0.100 in PR AUC over the strongest, Mahalanobis distance).",
        ),
        (
            baseline("mahalanobis", (0.85, 0.7), (-0.01, 0.02), 0.6),
            "It is uncertain whether the model beats the baselines: it leads all 2 in ROC AUC and PR AUC, but the "
            "95 % interval of its lead includes zero (over Mahalanobis distance -0.010 to +0.090 in ROC AUC).",
        ),
        (
            baseline("mahalanobis", (0.85, 0.81), (-0.01, -0.02), 0.6),
            "The model does not beat the baselines: Mahalanobis distance reaches 0.810 in PR AUC, the model 0.800.",
        ),
        (
            baseline("isolation_forest", (0.85, 0.7), (), 0.71),
            "The model beats all 2 baselines in ROC AUC and PR AUC (+0.050 in ROC AUC, +0.100 in PR AUC over the "
            "strongest, Isolation forest). At calibrated thresholds, however, Isolation forest reaches a composite F1 "
            "of 0.710, the model 0.700.",
        ),
    ],
    ids=["certain", "uncertain", "behind", "worse alarms"],
)
def test_verdict(other: BaselineResult, expected: str) -> None:
    assert baseline_verdict(result(WEAK, other)) == expected


def section(shown: EvaluationResult) -> str:
    info = SimpleNamespace(architecture=SimpleNamespace(detector=Detector.VAE))
    return render("baselines.html.jinja", info=info, result=shown, verdict=baseline_verdict(shown))


def test_the_table_lists_the_model_first_and_then_the_strongest_baseline() -> None:
    text = section(result(WEAK, baseline("z_score", (0.85, 0.7), (0.1, -0.2), 0.6)))
    model, strongest, weakest = text[text.index("<tbody>") :].split("<tr ")[1:]
    assert "Model (VAE)" in model
    assert "Z-score" in strongest
    assert ">-0.200 to -0.100<" in strongest
    assert "PCA residual" in weakest


def test_without_baselines_there_is_no_verdict() -> None:
    assert baseline_verdict(result()) == ""
    assert "No baselines" in section(result())
