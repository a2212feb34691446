"""Processes of this machine: where they run, and how they are stopped."""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

PROJECT_ROOT = Path(__file__).resolve().parents[1]  # the working directory of the project's commands
POLL_INTERVAL = 0.02  # seconds


def is_running(process: psutil.Process) -> bool:
    """Return whether a process has not ended; zombies have ended."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def group_members(groups: Collection[int]) -> list[psutil.Process]:
    """Return the running processes of some process groups."""
    return [process for process in psutil.process_iter() if _group_of(process) in groups and is_running(process)]


def stop(
    find: Callable[[], Iterable[psutil.Process]], grace: float, impatient: Callable[[], bool] = lambda: False
) -> list[psutil.Process]:
    """Stop processes: send SIGTERM, and after a grace period SIGKILL.

    Args:
        find: Returns the processes that are still running. It is called repeatedly, because they may start others.
        grace: Seconds to wait after SIGTERM, and again after SIGKILL.
        impatient: Returns whether to send SIGKILL at once.

    Returns:
        The processes that still run after SIGKILL, sorted by process id.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline, signalled = time.monotonic() + grace, set[psutil.Process]()
        while running := set(find()):
            for process in running - signalled:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            signalled |= running
            if time.monotonic() >= deadline or (number == signal.SIGTERM and impatient()):
                break
            time.sleep(POLL_INTERVAL)
    return sorted(running, key=lambda process: process.pid)


def _group_of(process: psutil.Process) -> int | None:
    with suppress(OSError):  # it has ended
        return os.getpgid(process.pid)
    return None
