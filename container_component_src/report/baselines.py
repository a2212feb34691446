"""Comparison of the model with the baselines, in words."""

from container_component_src.evaluation.result import BaselineResult, EvaluationResult
from container_component_src.report.text import fraction, interval_text
from container_component_src.steps.training import Detector

NAMES = {
    "z_score": "Z-score",
    "mahalanobis": "Mahalanobis distance",
    "pca_residual": "PCA residual",
    "isolation_forest": "Isolation forest",
    "windowed_kmeans": "Windowed k-means",
    "windowed_pca": "Windowed PCA",
}
_AREAS = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC"}


def baseline_name(baseline: BaselineResult) -> str:
    """Return the display name of a baseline."""
    return NAMES.get(baseline.name, baseline.name)


def detector_name(detector: Detector) -> str:
    """Return the display name of a detector."""
    return "VAE" if detector is Detector.VAE else detector.value


def baseline_verdict(result: EvaluationResult) -> str:
    """Return whether the model beats the baselines, in one or two sentences; "" if there are no baselines."""
    if not result.baselines:
        return ""
    return " ".join(filter(None, [_verdict_on_areas(result), _verdict_on_alarms(result)]))


def _verdict_on_areas(result: EvaluationResult) -> str:
    behind = [
        f"{baseline_name(item)} reaches {fraction(getattr(item, area))} in {name}, the model "
        f"{fraction(getattr(result, area))}"
        for area, name in _AREAS.items()
        for item in result.baselines
        if getattr(item, area) >= getattr(result, area)
    ]
    if behind:
        return f"The model does not beat the baselines: {'; '.join(behind)}."
    uncertain = [
        f"over {baseline_name(item)} {interval_text(item.advantage[area], sign=True)} in {name}"
        for item in result.baselines
        for area, name in _AREAS.items()
        if area in item.advantage and item.advantage[area].low <= 0
    ]
    if uncertain:
        return (
            f"It is uncertain whether the model beats the baselines: it leads all {len(result.baselines)} in ROC AUC "
            f"and PR AUC, but the 95 % interval of its lead includes zero ({', '.join(uncertain)})."
        )
    strongest = max(result.baselines, key=lambda item: item.pr_auc)
    leads = ", ".join(
        f"{getattr(result, area) - getattr(strongest, area):+.3f} in {name}" for area, name in _AREAS.items()
    )
    certain = ", and the 95 % interval of each lead lies above zero" if strongest.advantage else ""
    return (
        f"The model beats all {len(result.baselines)} baselines in ROC AUC and PR AUC{certain} ({leads} over the "
        f"strongest, {baseline_name(strongest)})."
    )


def _verdict_on_alarms(result: EvaluationResult) -> str:
    """Return a sentence if a baseline has a composite F1 as high as the model's at the calibrated threshold."""
    best = max(result.baselines, key=lambda item: item.calibrated.composite_f1)
    own, other = result.calibrated.composite_f1, best.calibrated.composite_f1
    if other < own:
        return ""
    return (
        f"At calibrated thresholds, however, {baseline_name(best)} reaches a composite F1 of {fraction(other)}, the "
        f"model {fraction(own)}."
    )
