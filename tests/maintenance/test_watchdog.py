"""The watchdog, with real processes."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
# A runner whose step has started a process in a session of its own, which is deaf to SIGTERM.
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
STEP = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {DEAF!r}], start_new_session=True)"
RUNNER = f"""
import os, subprocess, sys
from container_component_src.maintenance.watchdog import watched
run_id, *last_command = sys.argv[1:]
with watched(run_id, last_command):
    environment = {{**os.environ, "PIPELINE_RUN_ID": run_id}}
    step = subprocess.Popen([sys.executable, "-c", {STEP!r}], env=environment)
    sys.stdin.read()
"""


@contextmanager
def running(run_id: str, *last_command: str) -> Iterator[tuple["subprocess.Popen[str]", list[psutil.Process]]]:
    """Yield a runner and what it has started: its watchdog, its step, and the process of the step."""
    command = [sys.executable, "-c", RUNNER, run_id, *last_command]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
        descendants = psutil.Process(runner.pid).children(recursive=True)
        assert len(descendants) == 3
        yield runner, descendants
        runner.kill()


@pytest.fixture
def run_id() -> str:
    return f"test-{uuid.uuid4()}"


@pytest.mark.parametrize("end", ["killed", "completed"])
def test_processes_and_folders_of_a_run_end_with_it(
    end: str, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / f"eclss-{run_id}-abcdefgh"
    folder.mkdir()
    with running(run_id) as (runner, descendants):
        if end == "killed":
            runner.kill()
        else:
            runner.communicate()
            assert not folder.exists()  # the block has waited for it
        _, alive = psutil.wait_procs(descendants, timeout=60)
        assert alive == []
        assert not folder.exists()


def test_the_last_command_removes_what_is_no_process_of_the_run(run_id: str, tmp_path: Path) -> None:
    with running(run_id, "touch", str(tmp_path / "removed")) as (runner, descendants):
        runner.kill()
        psutil.wait_procs(descendants, timeout=60)
    assert (tmp_path / "removed").exists()


def test_the_signals_of_a_terminal_do_not_reach_the_watchdog(run_id: str) -> None:
    with running(run_id) as (_, descendants):
        watchdog = next(process for process in descendants if run_id in process.cmdline())
        assert os.getsid(watchdog.pid) == watchdog.pid
