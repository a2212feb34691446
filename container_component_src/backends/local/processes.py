"""Processes that run jobs on this machine, each in a process group of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from random import SystemRandom

import psutil

from container_component_src.limits import SPIN_DEFAULTS, usable_cores
from container_component_src.processes import PROJECT_ROOT, group_members, stop
from container_component_src.signals import ENDS_WITH_INPUT, signals_deferred

LOOPBACK = "127.0.0.1"
# Below those that systems choose for outgoing connections, which could take a port before its server listens.
_PORTS = range(20_000, 32_768)
STOP_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def process_groups() -> Iterator[list[psutil.Popen]]:
    """Yield a list for `start_process`; when the block ends, all processes in their groups are stopped."""
    processes: list[psutil.Popen] = []
    try:
        yield processes
    finally:
        with signals_deferred():
            groups = {process.pid for process in processes}
            stop(lambda: group_members(groups), STOP_GRACE)
            psutil.wait_procs(processes)
            for process in processes:
                process.stdin.close()


def start_process(
    processes: list[psutil.Popen],
    command: Sequence[str],
    environment: Mapping[str, str],
    log_file: Path | None = None,
) -> None:
    """Start a process and add it to a list; signals are deferred meanwhile, so that no process is lost.

    A command of this project also ends if this process is killed, because its standard input ends then.

    Args:
        processes: List to which the process is added.
        command: Command line. The first word, `python`, stands for this interpreter. Relative paths count from the
            project's root.
        environment: Variables in addition to those of this process.
        log_file: File for stdout and stderr. Without it they can be read as the lines of `stdout`.
    """
    with log_file.open("wb") if log_file else nullcontext(subprocess.PIPE) as output, signals_deferred():
        processes.append(
            psutil.Popen(
                [sys.executable, *command[1:]],
                cwd=PROJECT_ROOT,
                env={**SPIN_DEFAULTS, **os.environ, "PYTHONUNBUFFERED": "1", ENDS_WITH_INPUT: "1", **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        )


def share_of_cores(processes: int) -> dict[str, str]:
    """Return the variables that limit the threads of each of several processes; a single one looks for free cores."""
    return dict.fromkeys(_THREAD_VARIABLES, str(max(1, usable_cores() // processes))) if processes > 1 else {}


def free_ports(count: int) -> list[int]:
    """Return different ports on which nothing listens."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            port = SystemRandom().choice(_PORTS)
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind((LOOPBACK, port))
                ports.append(port)
    return ports
