from typing import Any

import pytest

from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.data import FitScaler, LabelTelemetry, ListArchives, SplitParquetFile
from container_component_src.steps.evaluation import RunEvaluation
from container_component_src.steps.maintenance import Cleanup
from container_component_src.steps.parameters import pipeline_parameters
from pipeline.components import annotation_of, component


def spec_of(step: Any) -> Any:
    return component(step).component_spec


def test_inputs_and_outputs_follow_the_declaration() -> None:
    spec = spec_of(RunEvaluation)
    assert {name: item.type for name, item in spec.inputs.items()} == {
        "data_root": "String",
        "calibrated_model": "system.Model@0.0.1",
        "calibration_df_path": "String",
        "test_df_path": "String",
        "train_df_path": "String",
        "baseline_window_steps": "Integer",
    }
    assert {name: item.type for name, item in spec.outputs.items()} == {
        "scores": "system.Dataset@0.0.1",
        "scores_uri": "String",
        "evaluation": "system.Artifact@0.0.1",
        "alarms": "system.Artifact@0.0.1",
        "metrics": "system.Metrics@0.0.1",
        "classification": "system.ClassificationMetrics@0.0.1",
        "composite_f1": "Float",
        "headline": "String",
    }


def test_the_command_line_is_that_of_the_step() -> None:
    spec = component(FitScaler).pipeline_spec
    (executor,) = spec.deployment_spec["executors"].values()
    assert list(executor["container"]["args"]) == [
        "fit_scaler",
        *("--train-df-path", "{{$.inputs.parameters['train_df_path']}}"),
        *("--scaler-type", "{{$.inputs.parameters['scaler_type']}}"),
        *("--scaler-path", "{{$.outputs.artifacts['scaler'].path}}"),
        *("--executor-input", "{{$}}"),
    ]


def test_an_artifact_that_two_options_name_is_declared_once() -> None:
    outputs = spec_of(Calibrate).outputs
    assert set(outputs) == {"calibrated_model", "calibrated_model_uri"}


@pytest.mark.parametrize(
    ("step", "key"),
    [
        (SplitParquetFile, "fingerprint"),
        (LabelTelemetry, "reports_fingerprint"),
        (LabelTelemetry, "feedback_fingerprint"),
    ],
)
def test_fingerprints_are_inputs_that_no_option_takes(step: Any, key: str) -> None:
    (executor,) = component(step).pipeline_spec.deployment_spec["executors"].values()
    assert key in spec_of(step).inputs
    assert not [text for text in executor["container"]["args"] if f"'{key}'" in text]


def test_only_the_first_step_gets_all_parameters() -> None:
    assert set(spec_of(ListArchives).inputs) == {*pipeline_parameters(), "training_pods", "origin"}
    assert set(spec_of(Cleanup).inputs) == {"namespace", "backend"}


def test_objects_are_text_and_lists_are_lists() -> None:
    parameters = pipeline_parameters()
    kinds = {name: annotation_of(field) for name, field in parameters.items()}
    assert (kinds["report_columns"], kinds["seed"], kinds["val_fraction"], kinds["strict_reports"]) == (
        str,
        int,
        float,
        bool,
    )
    assert kinds["latent_dims"] == list[Any]
