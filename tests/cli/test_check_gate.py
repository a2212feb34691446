"""The command as the pipeline runs it, and as a user does."""

import json
from pathlib import Path

import pytest

from container_component_src.evaluation.evaluator import evaluate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.main import main
from tests.evaluation.cases import write_case


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    case = write_case(tmp_path_factory.mktemp("case"))
    return evaluate(case.bundle, case.val, case.test, str(case.out), case.train)


@pytest.fixture
def command(result: EvaluationResult, tmp_path: Path) -> list[str]:
    result.write(str(tmp_path / "evaluation.json"))
    paths = ["--evaluation-path", str(tmp_path / "evaluation.json"), "--gate-path", str(tmp_path / "gate.json")]
    return ["check_gate", *paths]


@pytest.mark.parametrize(("least", "passed"), [("0.1", True), ("1.1", False)])
def test_hands_on_the_decision(command: list[str], tmp_path: Path, least: str, passed: bool) -> None:
    artifact = {"name": "gate", "type": {}, "uri": str(tmp_path / "gate.json"), "metadata": {}}
    parameters = {name: {"outputFile": str(tmp_path / f"{name}.txt")} for name in ("passed", "reason")}
    outputs = {
        "artifacts": {"gate": {"artifacts": [artifact]}},
        "parameters": parameters,
        "outputFile": str(tmp_path / "output.json"),
    }
    limits = ["--min-composite-f1", least, "--max-false-alarms-per-day", "0", "--beat-baselines", "false"]
    assert main([*command, *limits, "--executor-input", json.dumps({"outputs": outputs})]) == 0
    written = json.loads((tmp_path / "gate.json").read_text())
    (condition,) = written["conditions"]
    value = EvaluationResult.read(str(tmp_path / "evaluation.json")).calibrated.composite_f1
    assert (condition["name"], condition["value"], condition["limit"]) == ("composite_f1", value, float(least))
    assert (condition["passed"], written["passed"]) == (passed, passed)
    assert (tmp_path / "passed.txt").read_text() == str(passed).lower()
    assert (tmp_path / "reason.txt").read_text() == condition["text"]
    metadata = json.loads((tmp_path / "output.json").read_text())["artifacts"]["gate"]["artifacts"][0]["metadata"]
    assert metadata["decision"] == ("passed" if passed else "failed")


def test_a_model_that_fails_is_no_error_and_the_defaults_ask_for_composite_f1_alone(
    command: list[str], tmp_path: Path
) -> None:
    result = EvaluationResult.read(str(tmp_path / "evaluation.json"))
    bad = result.model_copy(update={"calibrated": result.calibrated.model_copy(update={"composite_f1": 0.0})})
    bad.write(str(tmp_path / "evaluation.json"))
    assert main(command) == 0
    written = json.loads((tmp_path / "gate.json").read_text())
    assert [item["text"] for item in written["conditions"]] == ["composite F1 0 must be at least 0.3 (0.3 too low)"]


def test_an_absent_evaluation_is_named(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evaluation.json").unlink()
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "evaluation.json: no such file" in error
    assert not (tmp_path / "gate.json").exists()
