"""Waiting for a run on a platform, with a live table of its steps."""

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from kfp.dsl.utils import COMPONENT_NAME_PREFIX
from rich.console import Console

from pipeline.local.progress import Progress, step_table
from pipeline.local.steps import PlannedStep, StepRecord, StepState
from pipeline.remote.pod_logs import failed_logs
from pipeline.remote.problems import PlatformError
from pipeline.remote.workspace import Workspace

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds
_PATIENCE = 60  # failed requests in a row: five minutes if they fail at once
_DRIVER = "-driver"  # Argo's node that prepares a step
_ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_STATES = {
    "PENDING": StepState.PENDING,
    "RUNNING": StepState.RUNNING,
    "CANCELING": StepState.RUNNING,
    "PAUSED": StepState.RUNNING,
    "SUCCEEDED": StepState.SUCCEEDED,
    "SKIPPED": StepState.SKIPPED,
    "CACHED": StepState.CACHED,
    "FAILED": StepState.FAILED,
    "CANCELED": StepState.INTERRUPTED,
}
# Of several tasks of one step, which iterations of a loop are, the state that comes first here counts.
_RANKS = [
    StepState.FAILED,
    StepState.INTERRUPTED,
    StepState.RUNNING,
    StepState.PENDING,
    StepState.SUCCEEDED,
    StepState.CACHED,
    StepState.SKIPPED,
]


def wait_for_run(workspace: Workspace, run_id: str, steps: Sequence[PlannedStep], console: Console) -> Any:
    """Wait until a run has ended; what may pass, like a gateway that restarts, is waited out.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        steps: The steps to show, in this order.
        console: Where to show them.

    Returns:
        kfp_server_api's V2beta1Run.

    Raises:
        InputError: The platform does not take the login any more.
        PlatformError: The platform refuses, or cannot be reached for a long time.
    """
    progress = Progress(console)
    records = [StepRecord(step) for step in steps]
    failures = 0
    with progress.showing(lambda: records):
        while True:
            try:
                run = workspace.client.get_run(run_id)
            except PlatformError as error:
                failures += 1
                if not error.may_pass or failures >= _PATIENCE:
                    raise
                logger.warning("%s; asking again", error)
            else:
                failures = 0
                for record in update_records(records, tasks_of(run)):
                    progress.changed(record)
                if run.state in _ENDED:
                    break
            time.sleep(POLL_INTERVAL)
    if console.is_terminal:
        console.print(step_table(records))
    return run


def tasks_of(run: Any) -> list[Any]:
    """The tasks of a run, kfp's own ones included."""
    return (run.run_details and run.run_details.task_details) or []


def update_records(records: Iterable[StepRecord], tasks: Sequence[Any]) -> list[StepRecord]:
    """Put what the platform knows of tasks into the records of their steps.

    Returns:
        The records whose state has changed.
    """
    changed = []
    for record in records:
        same = [task for task in tasks if task.display_name == _task_name(record.planned)]
        if not same:
            continue
        state = min((_STATES.get(task.state, StepState.PENDING) for task in same), key=_RANKS.index)
        begun = min((task.start_time for task in same if _is_known(task.start_time)), default=None)
        ended = max((task.end_time for task in same if _is_known(task.end_time)), default=None)
        if begun is not None:
            elapsed = (
                (ended if ended and state is not StepState.RUNNING else datetime.now(UTC)) - begun
            ).total_seconds()
            record.began, record.seconds = time.monotonic() - elapsed, elapsed
        record.message = next((task.error.message for task in same if task.error), "")
        if state is not record.state:
            record.state = state
            changed.append(record)
    return changed


def describe_failure(workspace: Workspace, run: Any, steps: Iterable[PlannedStep]) -> list[str]:
    """Say what failed, and why as far as the platform tells: errors of run and steps, the last lines of their logs."""
    names = {_task_name(step): step.name for step in steps}
    failed = [task for task in tasks_of(run) if task.state == "FAILED"]
    lines = [run.error.message] if run.error else []
    lines += [
        f"{names.get(task.display_name, task.display_name)}: {task.error.message if task.error else 'failed'}"
        for task in failed
        if task.display_name in names or task.display_name.endswith(_DRIVER)
    ]
    if failed:
        lines += failed_logs(workspace, run.run_id, failed, names)
    return lines


def _task_name(step: PlannedStep) -> str:
    return step.component.removeprefix(COMPONENT_NAME_PREFIX)


def _is_known(moment: datetime | None) -> bool:
    """The API answers the year 1, or 1970, for what has not happened yet."""
    return moment is not None and moment.timestamp() > 0
