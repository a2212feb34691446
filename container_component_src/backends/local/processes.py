"""Jobs of this machine: commands as processes in groups of their own, of which none is ever left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from container_component_src.signals import signals_deferred

PROJECT_ROOT = Path(__file__).resolve().parents[3]
LOOPBACK = "127.0.0.1"
STOP_GRACE = 5.0  # seconds between SIGTERM and SIGKILL


@contextmanager
def process_groups() -> Iterator[list[psutil.Popen]]:
    """A list to which `start_process` adds; what it holds has ended when the block is left, however it is left."""
    processes: list[psutil.Popen] = []
    try:
        yield processes
    finally:
        with signals_deferred():
            _stop(processes)


def start_process(
    processes: list[psutil.Popen], command: Sequence[str], log_file: Path, environment: Mapping[str, str]
) -> None:
    """Start a process and add it to a list; a signal that comes meanwhile waits, so that no process is lost.

    Args:
        processes: Where the process is added.
        command: Its first part, `python`, stands for the one that runs here; relative paths count from the project.
        log_file: Takes what it prints, to stdout and stderr alike.
        environment: Variables beside those of this process.
    """
    with log_file.open("wb") as log, signals_deferred():
        processes.append(
            psutil.Popen(
                [sys.executable, *command[1:]],
                cwd=PROJECT_ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, different ones because all are held until the last is known."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return [held.getsockname()[1] for held in sockets]


def _stop(processes: Sequence[psutil.Popen]) -> None:
    """End the process groups: SIGTERM to all, then SIGKILL to what is left of them."""
    _signal(processes, signal.SIGTERM)
    psutil.wait_procs(processes, timeout=STOP_GRACE)
    _signal(processes, signal.SIGKILL)
    psutil.wait_procs(processes)


def _signal(processes: Sequence[psutil.Popen], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(process.pid, number)
