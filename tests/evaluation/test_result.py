"""Evaluation file: round trip, validation, and metadata."""

import json
from pathlib import Path

import pytest
from kfp import dsl
from pydantic import ValidationError

from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.metadata import classification_metadata, evaluation_metadata
from container_component_src.evaluation.result import ALARM_METRICS, EvaluationResult, ThresholdMetrics
from tests.evaluation.cases import write_case


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    case = write_case(tmp_path_factory.mktemp("case"))
    return evaluate(case.bundle, case.calibration, case.test, str(case.out))


def without_alarms(result: EvaluationResult) -> EvaluationResult:
    update = {"precision": None, "median_detection_delay_s": None, "composite_f1": 0.0}
    return result.model_copy(update={"calibrated": result.calibrated.model_copy(update=update)})


def test_round_trip(result: EvaluationResult, tmp_path: Path) -> None:
    file = str(tmp_path / "evaluation.json")
    for written in (result, without_alarms(result)):
        written.write(file)
        assert EvaluationResult.read(file) == written


def test_rejects_another_file(tmp_path: Path, result: EvaluationResult) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({**result.model_dump(mode="json"), "roc_auc": 2}))
    with pytest.raises(InputError, match=r"not an evaluation .*'roc_auc' is wrong"):
        EvaluationResult.read(str(file))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rejects_infinite_and_missing_numbers(result: EvaluationResult, value: float) -> None:
    with pytest.raises(ValidationError):
        ThresholdMetrics.model_validate({**result.calibrated.model_dump(), "threshold": value})


def test_scalars_are_floats_without_undefined_metrics(result: EvaluationResult) -> None:
    scalars = result.scalars()
    assert all(type(value) is float for value in scalars.values())
    assert scalars["calibrated_threshold"] == 8.0
    assert scalars["calibrated_composite_f1"] == result.calibrated.composite_f1
    assert scalars["median_detection_delay_s"] == result.calibrated.median_detection_delay_s
    missing = scalars.keys() - without_alarms(result).scalars().keys()
    assert missing == {"calibrated_precision", "calibrated_median_detection_delay_s", "median_detection_delay_s"}


def test_the_pipeline_shows_the_metrics_of_alarms(result: EvaluationResult) -> None:
    metadata, scalars = evaluation_metadata(result), result.scalars()
    for name in ALARM_METRICS:
        assert metadata[name] == scalars[name] == scalars[f"calibrated_{name}"] == getattr(result.calibrated, name)
        assert scalars[f"{name}_low"] <= scalars[name] <= scalars[f"{name}_high"]
    assert (metadata["drift"], metadata["bundle_digest"]) == ("none", result.bundle_digest)
    assert scalars["expected_false_alarms_per_day_high"] == 3.1
    without = without_alarms(result)
    assert "median_detection_delay_s" not in evaluation_metadata(without)  # KFP takes no null
    assert None not in evaluation_metadata(without).values()


def test_the_confusion_matrix_counts_all_rows(result: EvaluationResult) -> None:
    matrix = classification_metadata(result)["confusionMatrix"]
    normal, anomalous = (row["row"] for row in matrix["rows"])
    assert [spec["displayName"] for spec in matrix["annotationSpecs"]] == ["normal", "anomalous"]
    assert (sum(normal), sum(anomalous)) == (350, 50)
    assert anomalous[1] == result.calibrated.true_positives


def test_the_metadata_match_those_of_kfp(result: EvaluationResult) -> None:
    metadata, metrics = classification_metadata(result), result.calibrated
    artifact = dsl.ClassificationMetrics()
    names = ("falsePositiveRate", "recall", "confidenceThreshold")
    artifact.log_roc_curve(*([point[name] for point in metadata["confidenceMetrics"]] for name in names))
    rows = [[metrics.true_negatives, metrics.false_positives], [metrics.false_negatives, metrics.true_positives]]
    artifact.log_confusion_matrix(["normal", "anomalous"], rows)
    assert artifact.metadata == metadata


def test_the_confidence_metrics_are_a_short_finite_curve(result: EvaluationResult) -> None:
    points = classification_metadata(result)["confidenceMetrics"]
    assert 2 <= len(points) <= 100
    assert points[0]["recall"] == 0.0
    assert points[-1]["falsePositiveRate"] == 1.0
    assert points[0]["confidenceThreshold"] > points[-1]["confidenceThreshold"]
