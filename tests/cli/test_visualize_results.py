"""The command as the pipeline runs it, and its errors as the user sees them."""

import json
from pathlib import Path

import pytest

from container_component_src.main import main
from tests.evaluation.cases import write_case
from tests.report.cases import evaluated


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    case = write_case(tmp_path)
    evaluation = tmp_path / "evaluation.json"
    evaluated(case)
    data = [
        "--df-path",
        case.whole,
        "--train-df-path",
        case.train,
        "--val-df-path",
        case.val,
        "--calibration-df-path",
        case.calibration,
        "--test-df-path",
        case.test,
    ]
    inputs = [*data, "--scores-path", str(case.out), "--evaluation-path", str(evaluation), "--bundle-path", case.bundle]
    inputs += ["--alarms-path", str(tmp_path / "alarms.ndjson")]
    return ["visualize_results", *inputs, "--report-path", str(tmp_path / "report.html")]


def test_hands_on_the_report(command: list[str], tmp_path: Path) -> None:
    artifact = {"name": "report", "type": {}, "uri": str(tmp_path / "report.html"), "metadata": {}}
    outputs = {"artifacts": {"report": {"artifacts": [artifact]}}, "outputFile": str(tmp_path / "output.json")}
    assert main([*command, "--trials-path", "", "--executor-input", json.dumps({"outputs": outputs})]) == 0
    written = json.loads((tmp_path / "output.json").read_text())["artifacts"]["report"]["artifacts"][0]
    assert written["metadata"]["bytes"] == (tmp_path / "report.html").stat().st_size
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_an_absent_trials_table_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--trials-path", str(tmp_path / "trials.csv")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "trials.csv: no such file" in error
    assert not (tmp_path / "report.html").exists()
