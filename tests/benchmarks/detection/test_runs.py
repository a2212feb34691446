from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.detection import runs
from benchmarks.detection.__main__ import detection
from benchmarks.detection.datasets import Prepared, TelemetryFolder
from benchmarks.detection.runs import METRICS, Settings, detector_metrics, stored_run
from container_component_src.errors import InputError
from container_component_src.evaluation.evaluator import evaluate
from container_component_src.steps.calibration import Calibrate
from container_component_src.steps.evaluation import RunEvaluation
from container_component_src.steps.training import TrainingArguments
from tests.benchmarks.detection.test_datasets import write_data
from tests.evaluation.cases import write_case


def test_each_step_gets_its_parameters() -> None:
    settings = Settings({"max_epochs": "3", "baseline_window_steps": "7", "seed": "1", "alarm_quantile": "0.9"})
    assert settings.of(TrainingArguments) == {"max_epochs": "3", "seed": "1"}
    assert settings.of(Calibrate) == {"alarm_quantile": "0.9"}
    assert settings.of(RunEvaluation) == {"baseline_window_steps": "7"}


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(InputError, match="no parameter 'epochs'"):
        Settings({"epochs": "3"})


def test_every_detector_has_every_metric(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = evaluate(case.bundle, case.val, case.test, str(case.out), case.train)
    found = dict(detector_metrics(result, "vae"))
    assert list(found) == ["vae", *(baseline.name for baseline in result.baselines)]
    assert all(list(values) == list(METRICS) for values in found.values())
    assert found["vae"]["vus_pr"] == result.vus_pr
    assert found["vae"]["composite_f1_best"] == result.best.composite_f1
    assert found["z_score"]["pr_auc"] == result.baselines[0].pr_auc
    assert found["z_score"]["hit_rate_100"] is None


def test_a_finished_run_is_read_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def run(prepared: Prepared, seed: int, settings: Settings) -> dict[str, Any]:
        calls.append(seed)
        return {"seed": seed, "settings": settings.values, "detectors": {}}

    monkeypatch.setattr(runs, "run", run)
    prepared = Prepared(TelemetryFolder("servers/a", tmp_path), "dataset", "labels", 12.0, 6.0)
    first = stored_run(prepared, 42, Settings({}), tmp_path)
    assert stored_run(prepared, 42, Settings({}), tmp_path) == first
    assert (first["data"], first["group"], calls) == ("servers/a", "servers", [42])
    stored_run(prepared, 43, Settings({}), tmp_path)
    stored_run(prepared, 42, Settings({"max_epochs": "1"}), tmp_path)
    monkeypatch.setattr(runs, "code_digest", lambda: "of other code")
    stored_run(prepared, 42, Settings({}), tmp_path)
    assert calls == [42, 43, 42, 42]
    assert len(list(tmp_path.glob("servers-a-*.json"))) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--param", "max_epochs"], "'max_epochs' is not NAME=VALUE"),
        (["--param", "epochs=3"], "no parameter 'epochs'"),
        (["--example-rows", "0"], "no data set is left"),
    ],
)
def test_wrong_options_are_refused(options: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(detection, [*options, "--results-dir", str(tmp_path)])
    assert result.exit_code != 0
    assert message in result.output


@pytest.mark.slow
def test_the_benchmark_on_little_data(tmp_path: Path) -> None:
    write_data(tmp_path / "data/plant")
    options = ["--data", tmp_path / "data", "--seeds", 1, "--example-rows", 0, "--param", "max_epochs=1"]
    options += ["--param", "batch_size=16", "--param", "window_hours=0.5", "--param", "block_hours=0.5"]
    options += ["--work-dir", tmp_path / "work", "--results-dir", tmp_path / "results"]
    result = CliRunner().invoke(detection, [str(option) for option in options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "plant, seed 42:" in result.output
    assert "windowed kmeans" in result.output
    assert sorted(file.name for file in (tmp_path / "results").glob("detection.*")) == [
        *("detection.csv", "detection.json", "detection.md"),
    ]
