"""How a run stands by its states in Kubeflow Pipelines, which does not say who changed them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

_ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_CANCELED = {"CANCELING", "CANCELED"}


class End(StrEnum):
    """Why there is nothing more to wait for; the text says so to the user."""

    SUCCEEDED = "the run succeeded"
    FAILED = "the run failed"
    TERMINATED = "the run was terminated by somebody"
    NOT_TERMINATING = (
        "the run was terminated by somebody, and its exit task does not end: "
        "delete the run, and what it has started with the command `cleanup --run-id`"
    )
    RETRIED = "the run failed and was retried by somebody meanwhile: it goes on"
    DELETED = "the run was deleted by somebody"
    VANISHED = "the run's Workflow was deleted by somebody: nothing of it runs any more, whatever its state says"


def tasks_of(run: Any) -> list[Any]:
    """The tasks of a run (kfp_server_api's V2beta1Run), kfp's own ones included."""
    return (run.run_details and run.run_details.task_details) or []


def end_of(run: Any, restarts: int) -> End | None:
    """Why a run needs no more waiting, or None if it goes on.

    Args:
        run: kfp_server_api's V2beta1Run.
        restarts: How often it had been retried when the waiting began.
    """
    if run.state not in _ENDED:
        return End.RETRIED if restarts_of(run) > restarts else None
    if run.state == "SUCCEEDED":
        return End.SUCCEEDED
    return End.TERMINATED if is_being_terminated(run) else End.FAILED


def is_being_terminated(run: Any) -> bool:
    """Whether somebody has terminated a run since it was last started; in the end it is FAILED like any other."""
    states = _states(run)
    starts = _starts(states)
    return bool(_CANCELED.intersection(states[starts[-1] :] if starts else states))


def restarts_of(run: Any) -> int:
    """How often a run that had ended was started again."""
    return len(_starts(_states(run)))


def _states(run: Any) -> list[str]:
    """All states that a run has had, the present one last."""
    states = [str(entry.state) for entry in run.state_history or []]
    return states if states[-1:] == [run.state] else [*states, str(run.state)]


def _starts(states: Sequence[str]) -> list[int]:
    """Where a run that had ended was started again."""
    return [index for index in range(1, len(states)) if states[index - 1] in _ENDED and states[index] not in _ENDED]
