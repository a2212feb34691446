"""The evaluation in a few lines."""

import pytest

from container_component_src.evaluation.result import EvaluationResult, Interval
from container_component_src.report.headline import headline
from container_component_src.report.text import NONE
from tests.evaluation.gate_cases import baseline, evaluation

WIDE = {
    "composite_f1": Interval(low=0.6, high=0.8),
    "event_recall": Interval(low=0.4, high=0.6),
    "alarms_per_day": Interval(low=1.2, high=2.5),
}


@pytest.fixture
def result() -> EvaluationResult:
    """An evaluation with two baselines, of which the second has the higher composite F1."""
    metrics = {"alarms_per_day": 2.0}
    own = evaluation()
    others = [
        item.model_copy(
            update={
                "calibrated": item.calibrated.model_copy(update=metrics),
                "intervals": WIDE if item.name == "pca_residual" else {},
            }
        )
        for item in (baseline("z_score", 0.9, 0.5), baseline("pca_residual", 0.6, 0.65))
    ]
    calibrated = own.calibrated.model_copy(update=metrics)
    return own.model_copy(update={"baselines": tuple(others), "intervals": WIDE, "calibrated": calibrated})


def test_the_calibrated_metrics_stand_beside_those_of_the_best_baseline(result: EvaluationResult) -> None:
    assert list(headline(result)) == [
        "composite F1: 0.700 (95 %: 0.600 to 0.800); best baseline, PCA residual: 0.650 (0.600 to 0.800)",
        "events found: 0.500 (95 %: 0.400 to 0.600); baseline: 0.500 (0.400 to 0.600)",
        "alarms a day: 2 (95 %: 1.2 to 2.5), 1.5 of them false; baseline: 2 (1.2 to 2.5), 1.5 of them false",
    ]


def test_what_is_not_known_is_left_out(result: EvaluationResult) -> None:
    unknown = result.calibrated.model_copy(update={"false_alarms_per_day": None})
    alone = result.model_copy(update={"baselines": (), "intervals": {}, "calibrated": unknown})
    assert list(headline(alone)) == [
        "composite F1: 0.700",
        "events found: 0.500",
        f"alarms a day: 2, {NONE} of them false",
    ]
