"""The verdict on the model and its baselines, in every case."""

from types import SimpleNamespace

import pytest

from container_component_src.evaluation.result import BaselineResult, EvaluationResult
from container_component_src.report.baselines import baseline_verdict
from container_component_src.report.rendering import render
from container_component_src.steps.training import Detector
from tests.evaluation.gate_cases import baseline, evaluation

WEAK = baseline("pca_residual", 0.3, 0.2, (0.2, 0.4))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (
            baseline("mahalanobis", 0.7, 0.6, (-0.01, 0.02)),
            "The model beats all 2 baselines (+0.1 in PR AUC over Mahalanobis distance, +0.1 in composite F1 over "
            "Mahalanobis distance).",
        ),
        (
            baseline("mahalanobis", 0.7, 0.6, (0.01, -0.02)),
            "The model beats all 2 baselines (+0.1 in PR AUC over Mahalanobis distance, +0.1 in composite F1 over "
            "Mahalanobis distance). This is uncertain: the 95 % interval of its lead includes zero (-0.0200 to +0.0800 "
            "in PR AUC over Mahalanobis distance).",
        ),
        (
            baseline("mahalanobis", 0.81, 0.6, (-0.01, -0.02)),
            "The model does not beat the baselines: Mahalanobis distance reaches 0.81 in PR AUC, the model 0.8.",
        ),
        (
            baseline("isolation_forest", 0.7, 0.70004),
            "The model does not beat the baselines: Isolation forest reaches 0.70004 in composite F1, the model 0.7.",
        ),
        (
            baseline("isolation_forest", 0.8, 0.71),
            "The model does not beat the baselines: Isolation forest reaches 0.8 in PR AUC, the model 0.8; Isolation "
            "forest reaches 0.71 in composite F1, the model 0.7.",
        ),
    ],
    ids=["certain", "uncertain", "worse ranking", "worse alarms", "both"],
)
def test_verdict(other: BaselineResult, expected: str) -> None:
    assert baseline_verdict(evaluation(WEAK, other)) == expected


def section(shown: EvaluationResult) -> str:
    info = SimpleNamespace(architecture=SimpleNamespace(detector=Detector.VAE))
    return render("baselines.html.jinja", info=info, result=shown, verdict=baseline_verdict(shown))


def test_the_table_lists_the_model_first_and_then_the_strongest_baseline() -> None:
    text = section(evaluation(WEAK, baseline("z_score", 0.7, 0.6, (0.1, -0.2))))
    model, strongest, weakest = text[text.index("<tbody>") :].split("<tr ")[1:]
    assert "Model (VAE)" in model
    assert "Z-score" in strongest
    assert ">-0.200 to -0.100<" in strongest
    assert "PCA residual" in weakest


def test_without_baselines_there_is_no_verdict() -> None:
    assert baseline_verdict(evaluation()) == ""
    assert "No baselines" in section(evaluation())
