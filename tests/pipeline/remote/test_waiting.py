from datetime import UTC, datetime
from pathlib import Path

import pytest
from kfp_server_api import V2beta1PipelineTaskDetail as TaskDetail
from kfp_server_api import V2beta1RuntimeState as RuntimeState

from pipeline.remote.waiting import update_records
from pipeline.steps import PlannedStep, StepRecord, StepState

SPLIT = PlannedStep("comp-split-parquet-file", in_loop=True)
NEVER = datetime(1, 1, 1, tzinfo=UTC)
PROJECT = Path(__file__).resolve().parents[3]


def task(state: str, begun: int = 0, ended: int | None = None, name: str = "split-parquet-file") -> TaskDetail:
    """A task that began and ended at seconds of an hour."""
    at = [NEVER if second is None else datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in (begun, ended)]
    return TaskDetail(display_name=name, state=state, start_time=at[0], end_time=at[1])


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["SUCCEEDED", "SUCCEEDED"], StepState.SUCCEEDED),
        (["SUCCEEDED", "RUNNING"], StepState.RUNNING),
        (["FAILED", "RUNNING"], StepState.FAILED),
        (["SUCCEEDED", "PENDING"], StepState.PENDING),
        (["SKIPPED", "SUCCEEDED"], StepState.SUCCEEDED),
    ],
)
def test_iterations_of_a_loop_are_one_step(states: list[str], expected: StepState) -> None:
    record = StepRecord(SPLIT)
    update_records([record], [task(state) for state in states])
    assert record.state is expected


def test_seconds_come_from_the_platform() -> None:
    record = StepRecord(SPLIT)
    tasks = [task("SUCCEEDED", 5, 10), task("SUCCEEDED", 2, 8), task("RUNNING", 0, name="root")]
    assert update_records([record], tasks) == [record]
    assert record.seconds == 8
    assert update_records([record], tasks) == []


def test_step_that_has_not_begun_has_no_seconds() -> None:
    record = StepRecord(SPLIT)
    begun = datetime(1970, 1, 1, tzinfo=UTC)
    update_records([record], [TaskDetail(display_name="split-parquet-file", state="PENDING", start_time=begun)])
    assert record.began is None


def test_every_state_of_the_api_is_known() -> None:
    for state in RuntimeState.allowable_values:
        record = StepRecord(SPLIT)
        changed = update_records([record], [task(state)])
        assert bool(changed) == (state not in {"PENDING", "RUNTIME_STATE_UNSPECIFIED"})
