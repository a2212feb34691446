"""The command as the pipeline runs it, and its errors as the user sees them."""

import json
from pathlib import Path
from typing import Any

import pytest

from container_component_src.alarms.files import read_alarms
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.main import main
from container_component_src.report.headline import headline
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.telemetry.dataset import Dataset
from tests.evaluation.cases import Case, write_case


def executor_input(folder: Path) -> str:
    artifacts: dict[str, Any] = {
        name: {"artifacts": [{"name": name, "type": {}, "uri": f"{folder}/{name}", "metadata": {}}]}
        for name in ("scores", "evaluation", "alarms", "metrics", "classification")
    }
    parameters = {name: {"outputFile": f"{folder}/{name}.txt"} for name in ("composite_f1", "headline", "scores_uri")}
    outputs = {"artifacts": artifacts, "parameters": parameters, "outputFile": f"{folder}/output.json"}
    return json.dumps({"outputs": outputs})


def command(case: Case, *more: str) -> list[str]:
    return [
        *("run_evaluation", "--bundle-path", case.bundle, "--calibration-df-path", case.calibration),
        *("--test-df-path", case.test, "--scores-path", str(case.out)),
        *("--evaluation-path", str(case.out.parent / "evaluation.json")),
        *("--alarms-path", str(case.out.parent / "alarms"), *more),
    ]


def test_hands_on_what_the_pipeline_expects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID_VARIABLE, "run-1")
    case = write_case(tmp_path)
    assert main(command(case, "--executor-input", executor_input(tmp_path / "task"))) == 0
    result = EvaluationResult.read(str(tmp_path / "evaluation.json"))
    assert float((tmp_path / "task/composite_f1.txt").read_text()) == result.calibrated.composite_f1
    assert (tmp_path / "task/headline.txt").read_text().splitlines() == list(headline(result))
    assert result.run_id == "run-1"
    scores_uri = (tmp_path / "task/scores_uri.txt").read_text()
    assert Dataset.open(scores_uri).manifest.rows == result.counts.test_rows
    artifacts = json.loads((tmp_path / "task/output.json").read_text())["artifacts"]
    metadata = {name: entry["artifacts"][0]["metadata"] for name, entry in artifacts.items()}
    assert metadata["scores"]["rows"] == result.counts.test_rows
    assert metadata["metrics"] == result.scalars()
    assert (metadata["evaluation"]["events"], metadata["evaluation"]["run_id"]) == (2, "run-1")
    alarms = read_alarms(str(tmp_path / "alarms"))
    assert metadata["alarms"] == {"alarms": len(alarms), "false_alarms": result.calibrated.false_alarms}
    assert metadata["classification"].keys() == {"confidenceMetrics", "confusionMatrix"}


def test_an_absent_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = write_case(tmp_path)
    (tmp_path / "bundle/bundle.json").unlink()
    assert main(command(case)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{case.bundle}: no model bundle" in error
