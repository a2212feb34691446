"""The model beside the baselines: whether it earns its keep, in words and as a table."""

from container_component_src.evaluation.result import BaselineResult, EvaluationResult
from container_component_src.report.text import fraction, span

NAMES = {
    "z_score": "Z-score",
    "mahalanobis": "Mahalanobis distance",
    "pca_residual": "PCA residual",
    "isolation_forest": "Isolation forest",
}
_AREAS = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC"}


def baseline_name(baseline: BaselineResult) -> str:
    """As a reader knows it."""
    return NAMES.get(baseline.name, baseline.name)


def judgement(result: EvaluationResult) -> str:
    """Whether the model is worth its effort; "" where there is no baseline to say so."""
    if not result.baselines:
        return ""
    strongest = max(result.baselines, key=lambda item: item.pr_auc)
    sentences = [_lead(result, strongest), _deployed(result)]
    return " ".join(filter(None, sentences))


def _lead(result: EvaluationResult, strongest: BaselineResult) -> str:
    behind = [
        f"{baseline_name(item)} reaches {fraction(getattr(item, area))} in {name}, the model "
        f"{fraction(getattr(result, area))}"
        for area, name in _AREAS.items()
        for item in result.baselines
        if getattr(item, area) >= getattr(result, area)
    ]
    if behind:
        return f"The model does not earn its keep here: {'; '.join(behind)}."
    ahead = f"better than all {len(result.baselines)} baselines in ROC AUC and PR AUC"
    doubtful = [
        f"over {baseline_name(item)} {span(item.advantage[area], sign=True)} in {name}"
        for item in result.baselines
        for area, name in _AREAS.items()
        if area in item.advantage and item.advantage[area].low <= 0
    ]
    if doubtful:
        return (
            f"Whether the model earns its keep is open: it is {ahead}, but the 95 % interval of its lead reaches zero, "
            f"{', '.join(doubtful)}."
        )
    gains = ", ".join(
        f"{getattr(result, area) - getattr(strongest, area):+.3f} in {name}" for area, name in _AREAS.items()
    )
    certain = ", and stays so when the events are drawn again" if strongest.advantage else ""
    return f"The model earns its keep: it is {ahead}{certain} ({gains} over the strongest, {baseline_name(strongest)})."


def _deployed(result: EvaluationResult) -> str:
    """What the areas do not say: how good the alarms of the calibrated thresholds are."""
    best = max(result.baselines, key=lambda item: item.calibrated.composite_f1)
    own, other = result.calibrated.composite_f1, best.calibrated.composite_f1
    if other < own:
        return ""
    return (
        f"At calibrated thresholds, though, {baseline_name(best)} reaches a composite F1 of {fraction(other)}, the "
        f"model {fraction(own)}."
    )
