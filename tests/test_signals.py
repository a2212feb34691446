"""Processes that end with the one that started them."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from container_component_src.processes import group_members
from container_component_src.signals import ENDS_WITH_INPUT

ROOT = Path(__file__).resolve().parents[1]
CHILD = (
    "import subprocess, sys; from container_component_src.signals import end_with_input; end_with_input(); "
    "subprocess.run([sys.executable, '-c', 'import time; print(\"ready\", flush=True); time.sleep(600)'])"
)
PARENT = f"""
import sys, time
from container_component_src.backends.local.processes import process_groups, start_process
with process_groups() as processes:
    start_process(processes, ["python", "-c", {CHILD!r}], {{}})
    print(processes[0].pid, processes[0].stdout.readline(), end="", flush=True)
    time.sleep(600)
"""


def test_processes_of_a_step_that_is_killed_end_with_their_groups() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, ready = parent.stdout.readline().split()
        assert ready == "ready"
        group = group_members({int(pid)})
        assert len(group) == 2
        parent.kill()
    _, alive = psutil.wait_procs(group, timeout=60)
    assert alive == []


@pytest.mark.slow
def test_a_command_watches_its_input_if_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("normalizedTime,a\n2024-01-01T00:00:00,1\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [
            "container_component_src/main.py",
            "query_model",
            "--url",
            url,
            "--input",
            str(tmp_path / "rows.csv"),
        ]
        environment = {**os.environ, ENDS_WITH_INPUT: "1"}
        with subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as waiting:
            connection, _ = silent.accept()  # the command now waits for an answer
            assert waiting.stdin is not None
            waiting.stdin.close()
            assert waiting.wait() == -signal.SIGKILL
            connection.close()
