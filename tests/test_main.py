"""Tests of the command line: lookup of commands and exit codes."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import numpy as np
import pytest

from container_component_src.errors import StepError
from container_component_src.main import COMMANDS
from container_component_src.steps.parameters import PIPELINE_STEPS
from container_component_src.telemetry.dataset import Dataset
from tests import data_steps
from tests.helpers import (
    TIME,
    Invoke,
    RunCommand,
    assert_nothing_written,
    assert_refused,
    telemetry,
    write_archive,
    write_dataset,
)

PROJECT = Path(__file__).resolve().parents[1]
HEAVY = ("distributed", "kserve", "lightning", "optuna", "pandas", "plotly", "sklearn", "torch")
SHOW_HELP = f"""
import sys
from container_component_src.main import COMMANDS, main
for command in COMMANDS:
    code = main([command, "--help"])
    loaded = [name for name in {HEAVY} if name in sys.modules]
    assert not code and not loaded, (command, code, loaded)
"""


def test_help_of_every_command_imports_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_HELP], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: main.py") == len(COMMANDS)


def test_every_option_of_every_command_has_help(invoke: Invoke) -> None:
    for command in COMMANDS:
        outcome = invoke(command, "--help")
        assert (outcome.code, outcome.stderr) == (0, ""), command
        options = [line for line in outcome.stdout.splitlines() if line.startswith("  --")]
        assert options, command


@pytest.mark.parametrize("width", [40, 80, 120])
def test_help_lists_all_commands_with_whole_sentences(width: int, invoke: Invoke) -> None:
    with patch("shutil.get_terminal_size", lambda: os.terminal_size((width, 24))):
        outcome = invoke("--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "..." not in outcome.stdout.partition("Options:")[2]
    listed = re.findall(r"^  (\w+)(?:  |$)", outcome.stdout, re.MULTILINE)
    assert listed == list(COMMANDS)


def test_steps_are_listed_in_the_order_of_the_pipeline() -> None:
    steps = [step.command for step in PIPELINE_STEPS if "command" in vars(step)]
    assert [name for name in COMMANDS if name in steps] == steps


def test_help_is_shown_without_a_command(invoke: Invoke) -> None:
    outcome = invoke()
    assert outcome.stdout.startswith("Usage: main.py")
    assert (outcome.code, outcome.stderr) == (0, "")


def test_invalid_command_lines_are_refused(invoke: Invoke) -> None:
    assert_refused(invoke("split_parquet"), "No such command 'split_parquet'")
    assert_refused(invoke("split_parquet_file"), "--file-path")
    assert_refused(invoke("split_parquet_file", "--colour", "red"), "--colour")
    split = data_steps.split("a", "b")
    assert_refused(invoke(*split, "--rowgroup-limit", "many"), "'--rowgroup-limit': 'many'", "a valid integer")
    assert_refused(invoke(*split, "--rowgroup-limit", "2.5"), "'--rowgroup-limit': '2.5'", "a valid integer")
    assert_refused(
        invoke(*split, "--rowgroups-per-file", "0"), "'--rowgroups-per-file': '0'", "greater than or equal to 1"
    )


def test_whole_numbers_may_be_written_as_floats(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.parquet")
    assert invoke(*data_steps.split(archive, tmp_path / "parts"), "--rowgroup-limit", "3.0").code == 0
    assert Dataset.open(str(tmp_path / "parts")).manifest.rows == 300


def test_debug_shows_the_traceback(run_command: RunCommand, tmp_path: Path) -> None:
    command = data_steps.split(tmp_path / "absent.parquet", tmp_path / "parts")
    outcome = run_command(*command)
    assert_refused(outcome, "absent.parquet: no such file")
    assert "Traceback" not in outcome.stdout
    outcome = run_command("--debug", *command)
    assert_refused(outcome, "absent.parquet: no such file")
    assert "Traceback" in outcome.stdout
    assert "split_archive" in outcome.stdout


def _fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a command whose library call raises an error."""

    def fail(*arguments: object) -> NoReturn:
        raise error

    monkeypatch.setattr("container_component_src.telemetry.partitioning.split_archive", fail)
    return data_steps.split("a.parquet", "parts")


def test_unexpected_errors_are_one_line(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    command = _fail_with(ZeroDivisionError("one\n  and\ttwo"), monkeypatch)
    assert_refused(invoke(*command), "ZeroDivisionError: one and two", "--debug", code=1)
    with pytest.raises(ZeroDivisionError):
        invoke("--debug", *command)


def test_step_errors_are_one_line(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    command = _fail_with(StepError("the node failed:\nsee its log"), monkeypatch)
    assert_refused(invoke(*command), "error: the node failed: see its log", code=1)


def test_output_that_cannot_be_created(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.parquet")
    assert_refused(
        invoke(*data_steps.split(archive, archive / "parts")), archive / "parts", "a folder of this path is a file"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_command(stop: signal.Signals, code: int, tmp_path: Path) -> None:
    write_dataset(tmp_path / "dataset", np.zeros((10, 2)))
    command = data_steps.label(tmp_path / "dataset", "s3://bucket/reports.csv", tmp_path / "labels")
    with socket.create_server(("127.0.0.1", 0)) as store:  # takes a connection, and never answers
        address = f"127.0.0.1:{store.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        with subprocess.Popen(
            [sys.executable, "container_component_src/main.py", *map(str, command)],
            cwd=PROJECT,
            env={**os.environ, **keys, "S3_ENDPOINT": address, "S3_USE_HTTPS": "false"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            store.settimeout(60)
            connection, _ = store.accept()
            process.send_signal(stop)
            _, stderr = process.communicate(timeout=300)
            connection.close()
    assert process.returncode == code
    assert b"Traceback" not in stderr
    assert_nothing_written(tmp_path / "labels")


@pytest.mark.slow
def test_preprocessing_with_the_documented_options(run_command: RunCommand, tmp_path: Path) -> None:
    write_archive(tmp_path / "raw" / "2022.parquet", telemetry(start="2022-01-01"))
    write_archive(tmp_path / "raw" / "2023.parquet", telemetry(seed=1))
    outcome = run_command(
        "run_dask_preprocessing",
        *("--partitioned-telemetry-paths", '["raw/2022.parquet", "raw/2023.parquet"]'),
        *("--sample-frac", "0.5", "--df-out-path", "dataset", "--timestamp-col", TIME, "--minio-endpoint", ""),
        *("--dask-worker-image", "columbus-eclss-ad:latest", "--num-dask-workers", "2.0", "--namespace", "eclss"),
    )
    assert outcome.code == 0, outcome
    assert outcome.stderr == ""
    dataset = Dataset.open(str(tmp_path / "dataset"))
    assert dataset.channels == ("cabin_pressure", "fan_speed")
    assert dataset.manifest.rows == pytest.approx(600, abs=80)
    assert (np.diff(dataset.load().timestamps) > 0).all()


@pytest.mark.slow
def test_failed_worker_prints_one_line(run_command: RunCommand, tmp_path: Path) -> None:
    frame = telemetry()
    frame.loc[7, TIME] = frame.loc[6, TIME]
    archive = write_archive(tmp_path / "2023.parquet", frame)
    outcome = run_command(*data_steps.preprocess([archive], tmp_path / "dataset"))
    assert_refused(outcome, archive, "row 7")
    assert_nothing_written(tmp_path / "dataset")
