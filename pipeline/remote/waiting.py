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

TERMINATION_SECONDS = 600.0  # that a terminated run's exit task may take
RESTART_SECONDS = 120.0  # after a retry, that the run may still be told to have ended before it
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


@dataclass(frozen=True)
class Ended:
    """A run that needs no more waiting.

    Attributes:
        end: Why.
        run: kfp_server_api's V2beta1Run as it was then; None if it was deleted.
        workflow: Its Workflow, if that is known.
    """

    end: End
    run: Any
    workflow: Workflow | None


def wait_for_run(
    workspace: Workspace,
    run_id: str,
    steps: Sequence[PlannedStep],
    console: Console,
    restarts: int = 0,
    ended_at: datetime | None = None,
) -> Ended:
    """Wait until a run has ended; what may pass, like a gateway that restarts, is waited out.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        steps: The steps to show, in this order.
        console: Where to show them.
        restarts: How often the run was retried before.
        ended_at: When it had ended before the last retry, which the platform may still tell for a while.

    Raises:
        InputError: The platform does not take the login any more.
        PlatformError: The platform refuses, or cannot be reached for a long time.
    """
    progress, retrier = Progress(console), RequestRetrier()
    watch = WorkflowWatch(workspace, run_id, retrier.warn)
    records = [StepRecord(step) for step in steps]
    deadline = _Deadline()
    with progress.showing(lambda: records):
        while True:
            try:
                run = retrier.call(lambda: workspace.client.get_run(run_id))
            except PlatformError as error:
                if error.status != HTTPStatus.NOT_FOUND or not error.from_api:
                    raise
                return Ended(End.DELETED, None, watch.workflow)
            watch.look(str(run.state), tasks_of(run))
            for record in update_records(records, tasks_of(run), _cached_tasks(watch.workflow)):
                progress.changed(record)
            end = _end(run, restarts, watch, deadline, ended_at)
            if end is not None:
                break
            if is_being_terminated(run):
                retrier.warn("somebody terminates the run; waiting for its exit task")
            time.sleep(request_retry.POLL_INTERVAL)
    if console.is_terminal:
        console.print(step_table(records))
    return Ended(end, run, watch.workflow)


def update_records(
    records: Iterable[StepRecord], tasks: Sequence[Any], cached: Container[str] = ()
) -> list[StepRecord]:
    """Put what the platform knows of tasks into the records of their steps.

    Args:
        records: Of the steps.
        tasks: Those that the API lists, kfp's own ones included.
        cached: Names of those that were answered from the cache, which the API calls succeeded.

    Returns:
        The records whose state has changed.
    """
    changed = []
    for record in records:
        name = task_name(record.planned)
        same = [task for task in tasks if task.display_name == name]
        if not same:
            continue
        state = min((_STATES.get(task.state, StepState.PENDING) for task in same), key=_RANKS.index)
        if state is StepState.SUCCEEDED and name in cached:
            state = StepState.CACHED
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


def task_name(step: PlannedStep) -> str:
    """Name of the step's task, which is that of its component."""
    return step.component.removeprefix(COMPONENT_NAME_PREFIX)


def _is_known(moment: datetime | None) -> bool:
    """The API answers the year 1, or 1970, for what has not happened yet."""
    return moment is not None and moment.timestamp() > 0


class _Deadline:
    """Limits what may last for ever: a termination, and an old state after a retry."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._terminating: float | None = None

    def is_over_for_old_state(self) -> bool:
        return time.monotonic() - self._begun >= RESTART_SECONDS

    def is_over_for_termination(self) -> bool:
        """Whether the run has been terminating for too long; the first call starts the clock."""
        self._terminating = self._terminating or time.monotonic()
        return time.monotonic() - self._terminating >= TERMINATION_SECONDS


def _end(run: Any, restarts: int, watch: WorkflowWatch, deadline: _Deadline, ended_at: datetime | None) -> End | None:
    end = end_of(run, restarts)
    if end is not None:
        is_old = ended_at is not None and run.finished_at == ended_at
        return None if is_old and not deadline.is_over_for_old_state() else end
    if watch.is_gone():
        return End.VANISHED
    if is_being_terminated(run) and deadline.is_over_for_termination():
        return End.NOT_TERMINATING
    return None


def _cached_tasks(workflow: Workflow | None) -> set[str]:
    return workflow.cached_tasks() if workflow else set()
