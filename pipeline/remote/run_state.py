"""Interpretation of a run's state history in Kubeflow Pipelines."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

_ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_CANCELED = {"CANCELING", "CANCELED"}


class End(StrEnum):
    """Why there is nothing more to wait for; the value is the message for the user."""

    SUCCEEDED = "the run succeeded"
    FAILED = "the run failed"
    TERMINATED = "the run was terminated by another user"
    NOT_TERMINATING = (
        "the run was terminated by another user, and its exit task does not end; "
        "delete the run, and remove what it created with the command `cleanup --run-id`"
    )
    RETRIED = "the run failed and another user retried it, so it continues"
    DELETED = "the run was deleted by another user"
    VANISHED = "the Workflow of the run was deleted by another user, so nothing of it runs any more"


def tasks_of(run: Any) -> list[Any]:
    """Return the tasks of a run (kfp_server_api's V2beta1Run), including those that kfp adds."""
    return (run.run_details and run.run_details.task_details) or []


def end_of(run: Any, restarts: int) -> End | None:
    """Return why a run needs no more waiting, or None if it continues.

    Args:
        run: kfp_server_api's V2beta1Run.
        restarts: Number of retries of the run when the waiting began.
    """
    if run.state not in _ENDED:
        return End.RETRIED if restarts_of(run) > restarts else None
    if run.state == "SUCCEEDED":
        return End.SUCCEEDED
    return End.TERMINATED if is_being_terminated(run) else End.FAILED


def is_being_terminated(run: Any) -> bool:
    """Return whether a run was terminated since its last start; its final state is FAILED like that of other runs."""
    states = _states(run)
    starts = _starts(states)
    return bool(_CANCELED.intersection(states[starts[-1] :] if starts else states))


def restarts_of(run: Any) -> int:
    """Return how often a run was started again after it had ended."""
    return len(_starts(_states(run)))


def _states(run: Any) -> list[str]:
    """Return all states of a run in order, the current one last."""
    states = [str(entry.state) for entry in run.state_history or []]
    return states if states[-1:] == [run.state] else [*states, str(run.state)]


def _starts(states: Sequence[str]) -> list[int]:
    """Return the indices of the states in which a run that had ended was started again."""
    return [index for index in range(1, len(states)) if states[index - 1] in _ENDED and states[index] not in _ENDED]
