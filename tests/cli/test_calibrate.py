"""The calibration as the pipeline and users run it, and what refuses a model without one."""

import json
from pathlib import Path
from typing import Any

import pytest

from container_component_src.model.bundle import Bundle
from tests.helpers import Invoke, assert_nothing_written, assert_refused
from tests.model.datasets import make_values, write_dataset
from tests.model.test_calibration import trained

PATTERNS = {"z*": "last", "fan*": "ventilation", "*": "rest"}


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    data = write_dataset(tmp_path / "data", make_values(300, seed=3))
    return ["calibrate", "--bundle-path", str(trained(tmp_path / "trained")), "--calibration-df-path", data]


def executor_input(folder: Path, uri: str) -> tuple[str, dict[str, Any]]:
    """What KFP hands to the step, and the entry of the calibrated model in it."""
    entry = {"name": "calibrated_model", "uri": uri, "metadata": {}}
    outputs = {
        "artifacts": {"calibrated_model": {"artifacts": [entry]}},
        "parameters": {"calibrated_model_uri": {"outputFile": str(folder / "uri")}},
        "outputFile": str(folder / "output.json"),
    }
    return json.dumps({"outputs": outputs}), entry


def published(folder: Path) -> dict[str, Any]:
    (found,) = json.loads((folder / "output.json").read_text())["artifacts"]["calibrated_model"]["artifacts"]
    return dict(found)


def test_the_calibrated_model_is_published(inputs: list[str], tmp_path: Path, invoke: Invoke) -> None:
    target = str(tmp_path / "calibrated")
    text, entry = executor_input(tmp_path, target)
    done = invoke(
        *inputs, "--calibrated-model-path", target, "--subsystems", json.dumps(PATTERNS), "--executor-input", text
    )
    assert (done.code, done.stderr) == (0, "")
    info = Bundle.load_calibrated(target).info
    assert (tmp_path / "uri").read_text() == target
    assert published(tmp_path) == {**entry, "metadata": info.metadata()}
    assert info.metadata()["threshold"] == info.calibrated.rule.raise_above
    assert list(info.calibrated.subsystems.items()) == list(PATTERNS.items())


def test_with_a_data_root_the_model_lies_there_and_its_copy_in_the_pipelines_store(
    inputs: list[str], tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers read it there; the evaluation gets the copy."""
    monkeypatch.setenv("PIPELINE_RUN_ID", "run-1")
    text, entry = executor_input(tmp_path, "minio://mlpipeline/calibrated_model")
    done = invoke(
        *(*inputs, "--calibrated-model-path", entry["uri"], "--model-copy-path", tmp_path / "copy"),
        *("--data-root", tmp_path / "root", "--executor-input", text),
    )
    assert (done.code, done.stderr) == (0, "")
    model = tmp_path / "root" / "run-1" / "calibrate" / "calibrated_model"
    assert (tmp_path / "uri").read_text() == str(model)
    info = Bundle.load_calibrated(str(model)).info
    assert Bundle.load_calibrated(str(tmp_path / "copy")).info == info
    assert published(tmp_path) == {**entry, "metadata": info.metadata()}


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--subsystems", "[]"], ["--subsystems", "not a json object"]),
        (["--subsystems", '{"fan*": 3}'], ["--subsystems", "fan*", "valid string"]),
        (["--subsystems", '{"fan*": ""}'], ["--subsystems", "fan*", "at least 1 character"]),
        (["--threshold-method", "peaks_over_threshold", "--alarm-quantile", "0.9"], ["--alarm-quantile 0.9"]),
        (["--smoothing-window", "0"], ["--smoothing-window"]),
        (["--impute-missing", "true"], ["without scaling", "--impute-missing false"]),
        (["--bundle-path", "nowhere"], ["nowhere: no model bundle"]),
        (["--calibration-df-path", "nowhere"], ["nowhere", "no such dataset"]),
    ],
)
def test_wrong_input_is_refused_in_a_line(
    options: list[str], texts: list[str], inputs: list[str], tmp_path: Path, invoke: Invoke
) -> None:
    done = invoke(*inputs, *options, "--calibrated-model-path", tmp_path / "calibrated")
    assert_refused(done, *texts)
    assert_nothing_written(tmp_path / "calibrated")


@pytest.mark.parametrize(
    "command",
    [
        "run_evaluation --bundle-path {bundle} --calibration-df-path {data} --test-df-path {data} "
        "--scores-path {out}/scores --evaluation-path {out}/evaluation --alarms-path {out}/alarms.ndjson",
        "deploy_to_kserve --bundle-path {bundle} --service-name eclss --backend local",
        "serve_predictor --model-dir {bundle} --model-name eclss",
        "serve_predictor --model-dir {bundle} --model-name eclss --combined",
        "serve_transformer --model-dir {bundle} --model-name eclss --predictor-host localhost:1",
    ],
    ids=lambda command: command.partition(" --bundle")[0].partition(" --model-dir")[0],
)
def test_a_model_without_calibration_is_refused_by_what_needs_one(
    command: str, inputs: list[str], tmp_path: Path, invoke: Invoke
) -> None:
    bundle, data = inputs[2], inputs[4]
    words = command.format(bundle=bundle, data=data, out=tmp_path / "out").split()
    assert_refused(invoke(*words), f"{bundle}: the model is not calibrated", "run calibrate on it")
    assert_nothing_written(tmp_path / "out")
