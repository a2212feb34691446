"""The whole pipeline as a user runs it: real processes, small data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from container_component_src import storage
from container_component_src.data_root import run_folders
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.model.bundle import Bundle
from container_component_src.telemetry.dataset import Dataset
from tests.notebooks.test_notebooks import Executed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
ALWAYS_RUN = {"list_archives", "compare_models", "visualize_results", "deploy_to_kserve", "cleanup"}
PARAMETERS = {
    "num_dask_workers": 1,
    "window_hours": 0.25,
    "block_hours": 0.5,
    "min_composite_f1": 0.0,
    "latent_dims": [4, 8],
    "hidden_dims": ["32,16"],
    "betas": [1.0],
    "lrs": [0.003],
    "batch_sizes": [256],
    "max_trials": 1,
    "tuning_max_epochs": 1,
    "max_epochs": 2,
    "min_epoch_steps": 20,
    "smoothing_window": 3,
    "alarm_quantile": 0.99,
    "threshold_method": "quantile",
}


class Project:
    """A user's configuration and data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generate(folder / "data", ExampleDataSpec(rows=6000, channels=20, anomalies=12))
        config = (ROOT / "config.toml").read_text()
        config = config.replace("local_data/example", str(folder / "data")).replace(
            '"local_data"', f'"{folder / "work"}"'
        )
        parameters = "\n".join(f"{name} = {json.dumps(value)}" for name, value in PARAMETERS.items())
        self.config = folder / "config.toml"
        self.config.write_text(f"{config}\n{parameters}\n")

    def run(self, *options: str, expected: int = 0) -> tuple[dict[str, Any], str]:
        """Run the pipeline to its expected exit code; return the summary and what it prints."""
        command = [sys.executable, "pipeline/compile_and_run_pipeline.py", "--local", "--config", str(self.config)]
        finished = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
        assert finished.returncode == expected, finished.stdout + finished.stderr
        return json.loads((self.folder / "work" / "last_run" / "summary.json").read_text()), finished.stdout


def ran(summary: dict[str, Any]) -> set[str]:
    """Names of the steps that were not answered from the cache, without loop indices."""
    return {step["name"].split(" ")[0] for step in summary["steps"] if not step["cached"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    return project.run()[0]


def test_pipeline_goes_from_archives_to_a_deployed_model(first: dict[str, Any]) -> None:
    assert first["status"] == "succeeded"
    assert first["pipeline"] == "columbus-eclss-ad-pipeline"
    assert first["deployed"] is True
    assert {step["status"] for step in first["steps"]} == {"succeeded"}
    assert len(first["steps"]) == 17
    assert first["comparison"]["reason"] == "there is no deployed model to compare with"
    assert "<html" in Path(first["report"]).read_text()
    assert (Path(first["model"]) / "model.safetensors").is_file()
    assert 0.5 < first["metrics"]["metrics"]["roc_auc"] <= 1


def test_the_results_notebook_shows_the_run(project: Project, first: dict[str, Any]) -> None:
    probe = "summary['status'], len(events), float(result.roc_auc), len(measured), measured[:, 0].tolist()"
    notebook = Executed("02_results.ipynb", {"NOTEBOOK_CONFIG": str(project.config)}, probe)
    status, events, roc_auc, rows, measured = notebook.found
    assert (status, roc_auc) == ("succeeded", first["metrics"]["metrics"]["roc_auc"])
    assert events > 1
    recorded = Dataset.open(first["artifacts"]["test"]).load().values[:, 0]
    assert len(measured) == rows > 0
    assert set(np.round(measured, 1)) <= set(np.round(recorded.astype(np.float64), 1))  # in the units of the archives
    assert (notebook.plots, notebook.warnings) == (7, "")


def test_the_query_notebook_asks_the_model_of_the_run(project: Project, first: dict[str, Any]) -> None:
    probe = "EVENT, model.version, len(telemetry), len(answers), first['score'] < second['score'], refused.status_code"
    notebook = Executed("03_query_model.ipynb", {"NOTEBOOK_CONFIG": str(project.config)}, probe)
    event, version, rows, answered, more_abnormal, status = notebook.found
    detected = [event.id for event in EvaluationResult.read(first["artifacts"]["evaluation"]).events if event.detected]
    assert event == detected[-1]
    assert version == Bundle.load(first["model"]).info.version
    assert 0 < answered <= rows
    assert (more_abnormal, status) == (True, 400)
    assert (notebook.plots, notebook.warnings) == (2, "")


def test_unchanged_inputs_are_answered_from_the_cache(project: Project, first: dict[str, Any]) -> None:
    second, printed = project.run()
    assert ran(second) == ALWAYS_RUN
    assert second["run"]["id"] != first["run"]["id"]
    assert f"Report of run {second['run']['id']}" in Path(second["report"]).read_text()
    changed = second["run"]["parameters"]
    assert (changed["max_trials"], changed["hidden_dims"], "seed" in changed) == (1, ["32,16"], False)
    assert "best baseline" in printed
    assert second["metrics"] == first["metrics"]
    assert second["comparison"]["reason"] == "this model is the deployed one"
    assert second["deployed"] is True


def test_changed_parameter_runs_what_depends_on_it(project: Project, first: dict[str, Any]) -> None:
    changed, printed = project.run("--param", "min_composite_f1=1.1", "--param", "beat_baselines=true")
    assert ran(changed) == ALWAYS_RUN | {"check_gate"}
    assert {step["name"]: step["status"] for step in changed["steps"]}["deploy_to_kserve"] == "skipped"
    assert changed["deployed"] is False
    assert (first["gate"]["passed"], changed["gate"]["passed"]) == (True, False)
    names = ["composite_f1", "pr_auc_above_baselines", "composite_f1_above_baselines"]
    assert [condition["name"] for condition in changed["gate"]["conditions"]] == names
    reason, report = changed["gate"]["conditions"][0]["text"], Path(changed["report"]).read_text()
    assert f"gate  failed: {reason}" in printed
    assert reason in report
    assert "The model does not pass the gate, so it is not deployed." in report


def test_changed_settings_of_alarms_run_the_calibration_again_and_not_the_training(
    project: Project, first: dict[str, Any]
) -> None:
    patterns = {"*FAN*": "ventilation", "*": "rest"}
    options = ("alarm_quantile=0.9", "smoothing=mean", "min_alarm_steps=100000", f"subsystems={json.dumps(patterns)}")
    changed, printed = project.run(*(text for option in options for text in ("--param", option)))
    assert ran(changed) == ALWAYS_RUN | {"calibrate", "run_evaluation", "check_gate"}
    before, after = (Bundle.load_calibrated(summary["model"]).info for summary in (first, changed))
    assert after.weights_sha256 == before.weights_sha256
    assert after.version != before.version
    assert list(after.calibrated.subsystems.items()) == list(patterns.items())
    assert "ECLSS_*" in before.calibrated.subsystems  # of the configuration
    # Its alarms would have to last longer than the data.
    assert (changed["gate"]["passed"], changed["comparison"]["promoted"], changed["deployed"]) == (True, False, False)
    assert changed["comparison"]["champion_version"] == before.version
    assert f"promotion  refused: {changed['comparison']['reason']}" in printed
    assert "The model does not replace the deployed one, which stays." in Path(changed["report"]).read_text()


def test_changed_archive_is_noticed_and_a_failing_step_is_explained(project: Project, first: dict[str, Any]) -> None:
    os.utime(project.folder / "data" / "telemetry" / "2022.parquet")  # written again with the same content
    summary, printed = project.run("--param", "window_hours=10000", expected=1)
    assert {"split_parquet_file", "run_dask_preprocessing"} <= ran(summary)
    splits = [step["cached"] for step in summary["steps"] if step["name"].startswith("split_parquet_file")]
    assert sorted(splits) == [False, True]
    assert "create_train_val_test_split failed" in printed
    assert "empty" in printed
    assert summary["status"] == "failed"
    assert summary["report"] is None


def test_with_a_data_root_the_datasets_and_the_deployed_model_lie_there_and_the_same_seed_gives_the_same_result(
    project: Project, first: dict[str, Any]
) -> None:
    root = project.folder / "runs"
    summary, _ = project.run("--param", f"data_root={root}", "--param", "champion=none")
    (folder,) = run_folders(storage.resolve(str(root)))
    run = Path(folder.location.path)
    assert {path.name for path in run.iterdir() if path.is_dir()} == {
        *("split_parquet_file", "run_dask_preprocessing", "label_telemetry", "create_train_val_test_split"),
        *("scale_dataframes", "run_pytorchjob", "calibrate", "run_evaluation"),
    }
    assert summary["artifacts"]["test"] == str(run / "create_train_val_test_split" / "test")
    model = Bundle.load_calibrated(str(run / "calibrate" / "calibrated_model")).info
    assert model == Bundle.load(summary["model"]).info  # the copy among the artifacts
    assert summary["artifacts"]["model"] == str(run / "run_pytorchjob" / "model")
    assert summary["deployed"] is True
    # Nothing was answered from the cache: every step has computed this anew.
    assert ran(summary) == ran(first)
    for name, value in first["metrics"]["metrics"].items():
        assert summary["metrics"]["metrics"][name] == pytest.approx(value, rel=1e-6), name


def test_a_run_with_a_new_archive_trains_again_and_compares_its_model_with_the_deployed_one(
    project: Project, first: dict[str, Any]
) -> None:
    generate(project.folder / "grown", ExampleDataSpec(rows=3000, channels=20, anomalies=0, years=(2024,)))
    (project.folder / "grown" / "telemetry" / "2024.parquet").rename(
        project.folder / "data" / "telemetry" / "2024.parquet"
    )
    promoted, printed = project.run("--param", "min_gain=-1")
    assert {"run_dask_preprocessing", "run_katib_experiment", "run_pytorchjob"} <= ran(promoted)
    compared = promoted["comparison"]["models"]
    assert (
        compared["champion"]["version"]
        != compared["challenger"]["version"]
        == Bundle.load(promoted["model"]).info.version
    )
    assert compared["challenger"]["metrics"]["composite_f1"] == promoted["metrics"]["metrics"]["composite_f1"]
    assert (promoted["comparison"]["promoted"], promoted["deployed"]) == (True, True)
    assert f"promotion  promoted: {promoted['comparison']['reason']}" in printed


def test_no_process_is_left_behind(project: Project, first: dict[str, Any]) -> None:
    command_lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in command_lines if str(project.folder) in line] == []
