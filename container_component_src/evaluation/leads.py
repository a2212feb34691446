"""How far a model is ahead of the baselines: what the report says and the gate of the deployment demands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from container_component_src.evaluation.result import BaselineResult, EvaluationResult

Evaluated = EvaluationResult | BaselineResult

NAMES = {
    "z_score": "Z-score",
    "mahalanobis": "Mahalanobis distance",
    "pca_residual": "PCA residual",
    "isolation_forest": "Isolation forest",
    "windowed_kmeans": "Windowed k-means",
    "windowed_pca": "Windowed PCA",
}
# One metric that needs no threshold, and one of the alarms that an operator gets.
_COMPARED: Mapping[str, tuple[str, Callable[[Evaluated], float]]] = {
    "pr_auc": ("PR AUC", lambda detector: detector.pr_auc),
    "composite_f1": ("composite F1", lambda detector: detector.calibrated.composite_f1),
}


@dataclass(frozen=True)
class Lead:
    """A metric of the model beside that of the baseline with the highest one.

    Attributes:
        metric: Name of the metric.
        label: Name of the metric for people.
        own: Value of the model.
        best: Value of the baseline.
        baseline: The baseline.
    """

    metric: str
    label: str
    own: float
    best: float
    baseline: BaselineResult

    @property
    def holds(self) -> bool:
        """Whether the model is ahead."""
        return self.own > self.best


def leads(result: EvaluationResult) -> tuple[Lead, ...]:
    """Return the metrics in which a model is compared with the baselines; it beats them if all of its leads hold.

    These are PR AUC, and composite F1 at the calibrated thresholds. There are none without baselines.
    """
    if not result.baselines:
        return ()
    return tuple(
        Lead(metric, label, value(result), value(best), best)
        for metric, (label, value) in _COMPARED.items()
        for best in [max(result.baselines, key=value)]
    )


def baseline_name(baseline: BaselineResult) -> str:
    """Return the display name of a baseline."""
    return NAMES.get(baseline.name, baseline.name)


def comparable(value: float, limit: float) -> tuple[str, str]:
    """Return two numbers with three digits, or as many more as show which of them is larger.

    A limit of at most six digits, as a user writes it, is shown in full.
    """
    written = f"{limit:g}"
    for digits in range(3, 17):
        texts = _text(value, digits), written if float(written) == limit else _text(limit, digits)
        shown = float(texts[0]) - float(texts[1])
        if (shown > 0, shown < 0) == (value > limit, value < limit):
            return texts
    return repr(value), repr(limit)


def _text(number: float, digits: int) -> str:
    """Return a number rounded to some digits, without an exponent if it is below a million."""
    return f"{float(f'{number:.{digits}g}'):.{max(digits, 6)}g}"
