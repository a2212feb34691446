"""Cleanup of a run on this machine: running processes and scratch directories."""

import os
import shutil
import time
from contextlib import suppress

import psutil

from container_component_src.errors import StepError
from container_component_src.scratch import RUN_ID_VARIABLE, checked_run_id, scratch_directories

GRACE = 10.0  # seconds for a process to end after SIGTERM, and again after SIGKILL
POLL_INTERVAL = 0.05  # seconds


def clean_up(run_id: str) -> list[str]:
    """Stop the processes of a run and delete its scratch directories.

    This process and its ancestors are spared, even if they belong to the run.

    Args:
        run_id: Value of `PIPELINE_RUN_ID` in the environment of the run's processes.

    Returns:
        What was removed, one line each.

    Raises:
        InputError: The run id is invalid.
        StepError: A process cannot be stopped.
    """
    processes = processes_of(checked_run_id(run_id))
    _stop(processes)
    removed = [f"process {process.pid}" for process in processes]
    for folder in scratch_directories(run_id):
        shutil.rmtree(folder)
        removed.append(f"folder {folder}")
    return removed


def processes_of(run_id: str) -> list[psutil.Process]:
    """Return the processes of a run, sorted by process id, without this process and its ancestors."""
    spared = {os.getpid(), *(ancestor.pid for ancestor in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        # Processes of other users hide their environment, and do not belong to a run of this user.
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid not in spared and process.environ().get(RUN_ID_VARIABLE) == run_id:
                found.append(process)
    return found


def _stop(processes: list[psutil.Process]) -> None:
    for stop in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                stop(process)
        processes = _wait(processes)
    if processes:
        raise StepError(f"process {processes[0].pid} does not end after SIGKILL", fix="check its state with ps")


def _wait(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run after the grace period; zombies have ended."""
    deadline = time.monotonic() + GRACE
    while (processes := [process for process in processes if _is_running(process)]) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
    return processes


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
