import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.helpers import Invoke, assert_refused
from tests.helpers import write_dataset as write_values

ROOT = Path(__file__).resolve().parents[2]
SPACE = {
    "--latent-dims": "[2.0, 3.0]", "--hidden-dims": '["8,4"]', "--betas": "[1]", "--lrs": "[0.01]",
    "--batch-sizes": "[64]",
}  # fmt: skip
LIMITS = {
    "--max-trials": "9.0", "--parallel-trials": "2", "--max-failed-trials": "0", "--max-epochs": "2",
    "--min-epoch-steps": "1",
}  # fmt: skip


def write_dataset(path: Path, rows: int, seed: int) -> str:
    latent = np.random.default_rng(seed).normal(size=(rows, 2))
    values = latent @ np.array([[1, 0.5, -1, 0.2], [0, 1, 1, -0.4]])
    return write_values(path, values, channels=("a", "b", "c", "d")).location.uri


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    return {
        "--train-df-path": write_dataset(tmp_path / "train", 300, 1),
        "--val-df-path": write_dataset(tmp_path / "val", 100, 2),
        "--algorithm": "grid",
        "--trials-path": str(tmp_path / "out" / "trials.csv"),
        **SPACE,
        **LIMITS,
    }


def arguments(options: dict[str, str]) -> list[str]:
    return ["run_katib_experiment", *(part for option in options.items() for part in option)]


def test_sizes_beyond_the_memory_start_no_trial(options: dict[str, str], invoke: Invoke) -> None:
    options["--latent-dims"] = "[2, 100000000]"
    assert_refused(invoke(*arguments(options)), "latent_dim 100000000", "4 channels", "in 2 processes", "this machine")
    pods = {"--backend": "kubernetes", "--memory": "1Gi", "--latent-dims": "[2, 9999999]", "--image": "i"}
    assert_refused(invoke(*arguments(options | pods)), "latent_dim 9999999", "a pod (memory 1Gi) has 1.0 GiB")


@pytest.mark.slow
def test_real_trials(options: dict[str, str], tmp_path: Path, invoke: Invoke) -> None:
    entries: dict[str, Any] = {
        name: {"artifacts": [{"name": name, "uri": str(tmp_path / name)}]} for name in ("trials", "trials_page")
    }
    executor_input = {
        "outputs": {
            "parameters": {"best_hyperparameters": {"outputFile": str(tmp_path / "best")}},
            "artifacts": entries,
            "outputFile": str(tmp_path / "executor_output.json"),
        }
    }
    page = tmp_path / "trials_page"
    more = {"--trials-page-path": str(page), "--executor-input": json.dumps(executor_input)}
    outcome = invoke(*arguments(options | more))
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "2 of 2 trials finished." in page.read_text(encoding="utf-8")
    with Path(options["--trials-path"]).open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert [(trial["trial"], trial["state"], trial["latent_dim"]) for trial in trials] == [
        ("0", "succeeded", "2"),
        ("1", "succeeded", "3"),
    ]
    losses = [float(trial["val_loss"]) for trial in trials]
    best = json.loads((tmp_path / "best").read_text())
    assert best == {
        "latent_dim": 2 + losses.index(min(losses)), "hidden_dims": "8,4", "beta": 1.0, "lr": 0.01, "batch_size": 64,
        "window_steps": 5,
    }  # fmt: skip
    output = json.loads((tmp_path / "executor_output.json").read_text())
    published = output["artifacts"]["trials"]["artifacts"][0]["metadata"]
    assert (published["trials"], published["best_val_loss"]) == (2, min(losses))


@pytest.mark.slow
def test_a_stopped_step_leaves_nothing_behind(options: dict[str, str], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "PIPELINE_RUN_ID": "stopped-run"}
    command = [sys.executable, "container_component_src/main.py", *arguments(options | {"--max-epochs": "100000"})]
    with psutil.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as step:
        trials: list[psutil.Process] = []
        while len(trials) < 2 and step.poll() is None:
            time.sleep(0.05)
            trials = [child for child in step.children() if "run_training" in child.cmdline()]
        assert [folder.name[:18] for folder in scratch.iterdir()] == ["eclss-stopped-run-"]
        step.send_signal(signal.SIGTERM)
        assert step.wait(timeout=300) == 128 + signal.SIGTERM
    assert len(trials) == 2
    assert not any(trial.is_running() for trial in trials)
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"--latent-dims": "[]"}, "--latent-dims"),
        ({"--latent-dims": '"8"'}, "--latent-dims"),
        ({"--hidden-dims": '["8,4", [8, 4]]'}, "--hidden-dims"),
        ({"--betas": "[0]"}, "--betas"),
        ({"--lrs": "[0.1"}, "--lrs"),
        ({"--batch-sizes": "[-1]"}, "--batch-sizes"),
        ({"--algorithm": "cmaes"}, "--algorithm"),
        ({"--max-trials": "0"}, "--max-trials"),
        ({"--seed": "99999999999"}, "seed"),
        ({"--trial-early-stopping": "medianstop", "--medianstop-start-step": "3"}, "--medianstop-start-step 3"),
        ({"--val-df-path": "nowhere"}, "nowhere"),
    ],
)
def test_bad_options_end_with_code_2_and_one_line(
    options: dict[str, str], change: dict[str, str], named: str, invoke: Invoke
) -> None:
    assert_refused(invoke(*arguments(options | change)), named)
    assert not Path(options["--trials-path"]).exists()
