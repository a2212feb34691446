from datetime import UTC, datetime

import pytest
from kfp_server_api import V2beta1Run, V2beta1RuntimeState, V2beta1RuntimeStatus

from pipeline.remote.run_state import End, end_of, is_being_terminated, restarts_of


def run(*states: str) -> V2beta1Run:
    """A run that has had some states."""
    history = [V2beta1RuntimeStatus(update_time=datetime(2026, 1, 1, tzinfo=UTC), state=state) for state in states]
    return V2beta1Run(state=states[-1], state_history=history)


@pytest.mark.parametrize(
    ("states", "end"),
    [
        (("PENDING", "RUNNING"), None),
        (("RUNNING", "SUCCEEDED"), End.SUCCEEDED),
        (("RUNNING", "FAILED"), End.FAILED),
        (("RUNNING", "CANCELING"), None),
        (("RUNNING", "CANCELING", "FAILED"), End.TERMINATED),
        (("RUNNING", "CANCELED"), End.TERMINATED),
        (("RUNNING", "FAILED", "RUNNING"), End.RETRIED),
        (("RUNNING", "CANCELING", "FAILED", "RUNNING", "FAILED"), End.FAILED),
    ],
)
def test_end_is_derived_from_the_states(states: tuple[str, ...], end: End | None) -> None:
    assert end_of(run(*states), restarts=0) is end


def test_own_retries_are_not_taken_for_those_of_others() -> None:
    again = run("RUNNING", "FAILED", "PENDING", "FAILED", "RUNNING")
    assert restarts_of(again) == 2
    assert end_of(again, restarts=2) is None


def test_termination_counts_since_the_last_start() -> None:
    assert is_being_terminated(run("RUNNING", "FAILED", "RUNNING", "CANCELING"))
    assert not is_being_terminated(run("RUNNING", "CANCELING", "FAILED", "RUNNING"))


def test_state_history_may_lag_behind_the_state() -> None:
    late = run("RUNNING")
    late.state = "FAILED"
    assert end_of(late, restarts=0) is End.FAILED
    assert end_of(V2beta1Run(state="SUCCEEDED"), restarts=0) is End.SUCCEEDED


def test_every_state_of_the_api_is_known() -> None:
    ended = {state for state in V2beta1RuntimeState.allowable_values if end_of(V2beta1Run(state=state), 0) is not None}
    assert ended == {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
