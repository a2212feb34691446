"""Cleanup of a run on this machine: running processes and scratch directories."""

import os
import shutil
from contextlib import suppress

import psutil

from container_component_src.errors import StepError
from container_component_src.processes import is_running, stop
from container_component_src.scratch import RUN_ID_VARIABLE, checked_run_id, scratch_directories

GRACE = 10.0  # seconds for a process to end after SIGTERM, and again after SIGKILL


def clean_up(run_id: str, patient: bool = True) -> list[str]:
    """Stop the processes of a run and delete its scratch directories.

    This process and its ancestors are spared, even if they belong to the run.

    Args:
        run_id: Value of `PIPELINE_RUN_ID` in the environment of the run's processes.
        patient: Whether processes get time to end after SIGTERM, before SIGKILL.

    Returns:
        What was removed, one line each.

    Raises:
        InputError: The run id is invalid.
        StepError: A process cannot be stopped.
    """
    checked_run_id(run_id)
    seen: dict[psutil.Process, None] = {}

    def running() -> list[psutil.Process]:
        found = processes_of(run_id)  # again each time, because they may start others
        seen.update(dict.fromkeys(found))
        return found

    stuck = stop(running, GRACE, impatient=lambda: not patient)
    if stuck:
        raise StepError(f"process {stuck[0].pid} does not end after SIGKILL", fix="check its state with ps")
    removed = [f"process {process.pid}" for process in seen]
    for folder in scratch_directories(run_id):
        shutil.rmtree(folder)
        removed.append(f"folder {folder}")
    return removed


def processes_of(run_id: str) -> list[psutil.Process]:
    """Return the running processes of a run, sorted by process id, without this process and its ancestors."""
    spared = {os.getpid(), *(ancestor.pid for ancestor in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        # Processes of other users hide their environment, and do not belong to a run of this user.
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid not in spared and process.environ().get(RUN_ID_VARIABLE) == run_id and is_running(process):
                found.append(process)
    return found
