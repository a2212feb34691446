import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from container_component_src.processes import group_members, is_running, stop

Start = Callable[[str], psutil.Popen]
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
CHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code as the leader of a process group, and waits until it has run."""
    started: list[psutil.Popen] = []

    def start(code: str) -> psutil.Popen:
        program = f"import signal, subprocess, sys, time\n{code}print('ready', flush=True)\ntime.sleep(600)"
        process = psutil.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    stop(lambda: group_members({process.pid for process in started}), grace=0)
    for process in started:
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize(("code", "number"), [("", 15), (DEAF, 9)])
def test_processes_get_sigterm_and_if_they_ignore_it_sigkill(start: Start, code: str, number: int) -> None:
    process = start(code)
    assert stop(lambda: [process] if is_running(process) else [], grace=0.5) == []
    assert process.wait() == -number


def test_the_grace_period_can_be_ended_early(start: Start) -> None:
    process = start(DEAF)
    assert stop(lambda: [process] if is_running(process) else [], grace=600, impatient=lambda: True) == []
    assert process.wait() == -9


def test_all_processes_of_a_group_are_stopped(start: Start) -> None:
    leader = start(DEAF + CHILD)
    assert len(group_members({leader.pid})) == 2
    assert stop(lambda: group_members({leader.pid}), grace=0.2) == []
    assert group_members({leader.pid}) == []


def test_processes_that_do_not_end_are_returned() -> None:
    this = psutil.Process()

    class Stuck(psutil.Process):
        def send_signal(self, sig: int) -> None:
            """Ignore it."""

    stuck = Stuck(this.pid)
    assert stop(lambda: [stuck], grace=0) == [stuck]
