import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_component_src.maintenance import cleanup
from container_component_src.maintenance.cleanup import clean_up, processes_of
from tests.helpers import Invoke, assert_refused

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., "subprocess.Popen[bytes]"]
READY = "print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def run_id() -> str:
    return f"test-{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    """Function that starts Python code as a process of a run, and returns when the process is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run_id: str, code: str = READY) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", f"import os, signal, subprocess, sys, time\n{code}"]
        process = subprocess.Popen(command, env={**os.environ, "PIPELINE_RUN_ID": run_id}, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_only_processes_and_folders_of_the_run_are_removed(start: Start, scratch: Path, run_id: str) -> None:
    mine, other = start(run_id), start(f"{run_id}-2")
    folder = scratch / f"eclss-{run_id}-abcdefgh"
    (folder / "trial-0").mkdir(parents=True)
    (folder / "trial-0" / "log").touch()
    other_folder = scratch / f"eclss-{run_id}-2-abcdefgh"
    other_folder.mkdir()
    removed = clean_up(run_id)
    assert removed == [f"process {mine.pid}", f"folder {folder}"]
    assert mine.wait() == -signal.SIGTERM
    assert other.poll() is None
    assert not folder.exists()
    assert other_folder.exists()
    assert clean_up(run_id) == []


def test_process_that_ignores_sigterm_is_killed(start: Start, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "GRACE", 0.2)
    process = start(run_id, f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}")
    clean_up(run_id)
    assert process.wait() == -signal.SIGKILL


def test_command_spares_itself_and_its_ancestors(start: Start, run_id: str) -> None:
    command = [sys.executable, str(ROOT / "container_component_src" / "main.py"), "cleanup", "--run-id", run_id]
    step = start(run_id, f"print('ready', flush=True); sys.exit(subprocess.run({command!r}).returncode)")
    output, _ = step.communicate()
    assert output.decode().strip() == f"nothing left of run {run_id}"
    assert step.returncode == 0


def test_only_processes_of_the_run_are_found(start: Start, run_id: str) -> None:
    process, _ = start(run_id), start(f"{run_id}-2")
    assert [found.pid for found in processes_of(run_id)] == [process.pid]


@pytest.mark.parametrize("run_id", ["", "../..", "*"])
def test_invalid_run_id_is_refused(run_id: str, invoke: Invoke) -> None:
    assert_refused(invoke("cleanup", "--run-id", run_id), "run id")


def test_command_prints_what_it_removed(start: Start, run_id: str, invoke: Invoke) -> None:
    process = start(run_id)
    assert invoke("cleanup", "--run-id", run_id).stdout == f"removed process {process.pid}\n"
    assert invoke("cleanup", "--run-id", run_id).stdout == f"nothing left of run {run_id}\n"
