"""Outputs of a step for Kubeflow Pipelines."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.errors import StepError
from container_component_src.outputs import publish
from container_component_src.telemetry.dataset import Dataset
from tests.helpers import write_dataset

PARAMETERS = ("archives", "labels_uri", "loss", "rows", "deployed", "best")


def _executor_input(folder: Path) -> dict[str, Any]:
    """Return what the launcher passes to a component with six output parameters and two artifacts."""
    return {
        "inputs": {"parameterValues": {"seed": 42, "df_path": "minio://mlpipeline/v2/artifacts/run/df"}},
        "outputs": {
            "parameters": {name: {"outputFile": str(folder / "outputs" / name / "data")} for name in PARAMETERS},
            "artifacts": {
                name: {
                    "artifacts": [
                        {
                            "name": name,
                            "type": {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"},
                            "uri": f"minio://mlpipeline/v2/artifacts/run/{name}",
                            "metadata": {"display_name": name},
                        }
                    ]
                }
                for name, kind in (("dataset", "Dataset"), ("metrics", "Metrics"))
            },
            "outputFile": str(folder / "kfp" / "executor_output.json"),
        },
    }


def _publish(folder: Path, **outputs: Any) -> None:
    publish(json.dumps(_executor_input(folder)), **outputs)


def test_parameters_and_artifacts(tmp_path: Path) -> None:
    values = {
        "archives": [{"uri": "s3://b/ü", "fingerprint": "1-2"}],
        "labels_uri": "s3://bucket/labels",
        "loss": 1e-05,
        "rows": 12,
        "deployed": True,
        "best": {"lr": 0.001, "hidden_dims": "128,64"},
    }
    _publish(tmp_path, parameters=values, artifacts={"dataset": {"rows": 12}, "metrics": {"elbo": -1.5}})
    written = {name: (tmp_path / "outputs" / name / "data").read_text() for name in PARAMETERS}
    assert written.pop("labels_uri") == "s3://bucket/labels"  # texts are not quoted, other values are JSON
    assert {name: json.loads(text) for name, text in written.items()} == {
        name: value for name, value in values.items() if name != "labels_uri"
    }
    assert written["deployed"] == "true"
    assert not written["loss"].endswith("\n")

    output = json.loads((tmp_path / "kfp" / "executor_output.json").read_text())
    entry = _executor_input(tmp_path)["outputs"]["artifacts"]["dataset"]["artifacts"][0]
    assert output["artifacts"]["dataset"] == {"artifacts": [{**entry, "metadata": {"rows": 12}}]}
    assert output["artifacts"]["metrics"]["artifacts"][0]["metadata"] == {"elbo": -1.5}


def test_executor_output_without_artifacts(tmp_path: Path) -> None:
    _publish(tmp_path, parameters={"rows": 3})
    assert json.loads((tmp_path / "kfp" / "executor_output.json").read_text()) == {"artifacts": {}}
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["rows"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1.0, math.nan], {"a": {"b": math.inf}}])
def test_values_that_kfp_does_not_accept(value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for outputs in ({"parameters": {"loss": value}}, {"artifacts": {"metrics": {"loss": value}}}):
        with pytest.raises(StepError, match="NaN or infinite"):
            _publish(tmp_path, **outputs)
        with pytest.raises(StepError, match="NaN or infinite"):
            publish("", **outputs)
    assert not (tmp_path / "kfp").exists()
    assert not (tmp_path / "outputs").exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("outputs", [{"parameters": {"size": 1}}, {"artifacts": {"size": {}}}])
def test_undeclared_outputs(outputs: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"no output named \['size'\]"):
        _publish(tmp_path, **outputs)
    assert not (tmp_path / "kfp").exists()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "root" / "run" / "step" / "labels", np.zeros((3, 2)))


@pytest.mark.parametrize("entry", ["minio://mlpipeline/v2/artifacts/run/labels", "{tmp_path}/outputs/labels"])
def test_dataset_outside_the_assigned_uri(entry: str, dataset: Dataset, tmp_path: Path) -> None:
    """KFP's launcher fails a step whose artifact is outside its own store; a local run accepts any URI."""
    uri = entry.format(tmp_path=tmp_path)
    executor_input = _executor_input(tmp_path)
    executor_input["outputs"]["artifacts"] = {"labels": {"artifacts": [{"name": "labels", "uri": uri}]}}
    publish(json.dumps(executor_input), datasets={"labels": dataset})
    assert (tmp_path / "outputs" / "labels_uri" / "data").read_text() == dataset.location.uri
    written = json.loads((tmp_path / "kfp" / "executor_output.json").read_text())
    (artifact,) = written["artifacts"]["labels"]["artifacts"]
    assert artifact["uri"] == (uri if "://" in uri else dataset.location.uri)
    assert artifact["metadata"]["data_uri"] == dataset.location.uri
    assert artifact["metadata"]["rows"] == 3


def test_dataset_at_the_assigned_uri(dataset: Dataset, tmp_path: Path) -> None:
    executor_input = _executor_input(tmp_path)
    entry = {"name": "labels", "uri": dataset.location.uri}
    executor_input["outputs"]["artifacts"] = {"labels": {"artifacts": [entry]}}
    publish(json.dumps(executor_input), datasets={"labels": dataset})
    written = json.loads((tmp_path / "kfp" / "executor_output.json").read_text())
    assert written["artifacts"]["labels"]["artifacts"] == [{**entry, "metadata": dataset.manifest.metadata()}]


def test_outputs_are_printed_without_executor_input(capsys: pytest.CaptureFixture[str]) -> None:
    publish("", parameters={"rows": 3}, artifacts={"dataset": {"rows": 3, "start": "2023"}})
    assert json.loads(capsys.readouterr().out) == {"rows": 3, "dataset": {"rows": 3, "start": "2023"}}
