"""Waiting for a run on a platform, with a live table of its steps."""

import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from kfp.dsl.utils import COMPONENT_NAME_PREFIX
from rich.console import Console

from pipeline.login.errors import PlatformError
from pipeline.progress import Progress, step_table
from pipeline.remote import request_retry
from pipeline.remote.request_retry import RequestRetrier
from pipeline.remote.run_state import End, end_of, is_being_terminated, tasks_of
from pipeline.remote.workflow import Workflow
from pipeline.remote.workflow_watch import WorkflowWatch
from pipeline.remote.workspace import Workspace
from pipeline.steps import PlannedStep, StepRecord, StepState

TERMINATION_SECONDS = 600.0  # time limit of a terminated run's exit task
RESTART_SECONDS = 120.0  # time after a retry in which the API may still return the old end of the run
_STEP_STATES = {
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
# Iterations of a loop are tasks of one step. The step has the state of theirs that comes first here.
_STATE_PRIORITY = [
    StepState.FAILED,
    StepState.INTERRUPTED,
    StepState.RUNNING,
    StepState.PENDING,
    StepState.SUCCEEDED,
    StepState.CACHED,
    StepState.SKIPPED,
]


@dataclass(frozen=True)
class EndedRun:
    """A run that needs no more waiting.

    Attributes:
        end: Why the waiting ended.
        run: kfp_server_api's V2beta1Run at the end; None if the run was deleted.
        workflow: Workflow of the run; None if it is unknown.
    """

    end: End
    run: Any
    workflow: Workflow | None


def wait_for_run(
    workspace: Workspace,
    run_id: str,
    steps: Sequence[PlannedStep],
    restarts: int = 0,
    ended_at: datetime | None = None,
) -> EndedRun:
    """Wait until a run has ended; transient errors, such as a gateway that restarts, are waited out.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        steps: Steps to show, in this order.
        restarts: Number of earlier retries of the run.
        ended_at: End of the run before the last retry, which the API may still return for a while.

    Raises:
        PipelineError: The platform rejects the login or a request, or cannot be reached for a long time.
    """
    console, retrier = Console(), RequestRetrier()
    progress = Progress(console)
    watch = WorkflowWatch(workspace, run_id, retrier.warn)
    records, deadlines = [StepRecord(step) for step in steps], _Deadlines()
    with progress.showing(lambda: records):
        while True:
            run = _get_run(workspace, run_id, retrier)
            if run is None:
                return EndedRun(End.DELETED, None, watch.workflow)
            watch.look(str(run.state), tasks_of(run))
            for record in update_records(records, tasks_of(run), watch.cached_tasks):
                progress.changed(record)
            end = _end(run, restarts, watch, deadlines, ended_at)
            if end is not None:
                break
            if is_being_terminated(run):
                retrier.warn("another user is terminating the run; waiting for its exit task")
            time.sleep(request_retry.POLL_INTERVAL)
    if console.is_terminal:
        console.print(step_table(records))
    return EndedRun(end, run, watch.workflow)


def update_records(
    records: Iterable[StepRecord], tasks: Sequence[Any], cached: Container[str] = ()
) -> list[StepRecord]:
    """Update the records of steps from the tasks of a run.

    Args:
        records: Records of the steps.
        tasks: Tasks listed by the API, including those that kfp adds.
        cached: Names of the tasks answered from the cache, whose state in the API is SUCCEEDED.

    Returns:
        Records whose state has changed.
    """
    changed = []
    for record in records:
        name = task_name(record.planned)
        same = [task for task in tasks if task.display_name == name]
        if not same:
            continue
        state = min((_STEP_STATES.get(task.state, StepState.PENDING) for task in same), key=_STATE_PRIORITY.index)
        if state is StepState.SUCCEEDED and name in cached:
            state = StepState.CACHED
        begun = min((task.start_time for task in same if is_known(task.start_time)), default=None)
        ended = max((task.end_time for task in same if is_known(task.end_time)), default=None)
        if begun is not None:
            until = ended if ended and state is not StepState.RUNNING else datetime.now(UTC)
            record.seconds = (until - begun).total_seconds()
            record.began = time.monotonic() - record.seconds
        record.message = next((task.error.message for task in same if task.error), "")
        if state is not record.state:
            record.state = state
            changed.append(record)
    return changed


def task_name(step: PlannedStep) -> str:
    """Return the name of a step's task, which is that of its component."""
    return step.component.removeprefix(COMPONENT_NAME_PREFIX)


def _get_run(workspace: Workspace, run_id: str, retrier: RequestRetrier) -> Any:
    """Return kfp_server_api's V2beta1Run, or None if the run was deleted."""
    try:
        return retrier.call(lambda: workspace.client.get_run(run_id))
    except PlatformError as error:
        if error.status != HTTPStatus.NOT_FOUND or not error.from_api:
            raise
    return None


def is_known(moment: datetime | None) -> bool:
    """Return whether a time is set: the API returns the year 1 or 1970 for events that have not happened yet."""
    return moment is not None and moment.timestamp() > 0


class _Deadlines:
    """Time limits of a termination, and of an outdated state after a retry."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._terminating: float | None = None

    def outdated_state_expired(self) -> bool:
        return time.monotonic() - self._begun >= RESTART_SECONDS

    def termination_expired(self) -> bool:
        """Return whether the termination takes too long; the first call starts the clock."""
        self._terminating = self._terminating or time.monotonic()
        return time.monotonic() - self._terminating >= TERMINATION_SECONDS


def _end(run: Any, restarts: int, watch: WorkflowWatch, deadlines: _Deadlines, ended_at: datetime | None) -> End | None:
    end = end_of(run, restarts)
    if end is not None:
        is_outdated = ended_at is not None and run.finished_at == ended_at
        return None if is_outdated and not deadlines.outdated_state_expired() else end
    if watch.is_gone():
        return End.VANISHED
    if is_being_terminated(run) and deadlines.termination_expired():
        return End.NOT_TERMINATING
    return None
