from pathlib import Path

from rich.console import Console

from pipeline.progress import step_table
from pipeline.steps import PlannedStep, StepBoard, StepRecord, StepState, load_pipeline_spec, plan_steps
from tests.pipeline import local_pipelines


def test_plan_lists_nested_steps_in_the_order_in_which_they_can_run(tmp_path: Path) -> None:
    spec = load_pipeline_spec(local_pipelines.compiled(local_pipelines.whole, tmp_path))
    assert [(step.name, step.in_loop) for step in plan_steps(spec)] == [
        ("list_archives", False),
        ("split_parquet_file", True),
        ("train", False),
        ("deploy_to_kserve", False),
        ("clean_up", False),
    ]


def test_component_used_twice_gets_two_names(tmp_path: Path) -> None:
    spec = load_pipeline_spec(local_pipelines.compiled(local_pipelines.twice, tmp_path))
    assert sorted(step.name for step in plan_steps(spec)) == ["split_parquet_file", "split_parquet_file_2"]


def test_iterations_keep_the_order_of_their_items_whenever_they_start() -> None:
    seen: list[str] = []
    steps = [PlannedStep("comp-list", False), PlannedStep("comp-split-file", True), PlannedStep("comp-train", False)]
    board = StepBoard(steps, lambda record: seen.append(f"{record.name} {record.state}"))
    for index in (2, 0, 10, 1):
        board.find("comp-split-file", f"run-1/for-loop-1-iteration-{index}")
    assert [record.name for record in board.records()] == [
        "list",
        "split_file [0]",
        "split_file [1]",
        "split_file [2]",
        "split_file [10]",
        "train",
    ]
    board.find("comp-list", "run-1").state = StepState.SUCCEEDED
    board.skip_pending()
    assert seen == [f"split_file [{index}] skipped" for index in (0, 1, 2, 10)] + ["train skipped"]


def test_nested_loops_are_told_apart() -> None:
    board = StepBoard([PlannedStep("comp-fit", True)], lambda record: None)
    record = board.find("comp-fit", "name-iteration-5-run/for-loop-1-iteration-2/for-loop-2-iteration-3")
    assert record.name == "fit [2] [3]"


def test_table_hides_what_is_done_when_there_is_no_room() -> None:
    records = [StepRecord(PlannedStep(f"comp-s{index}", False), state=StepState.SUCCEEDED) for index in range(8)]
    records += [StepRecord(PlannedStep("comp-now", False), state=StepState.RUNNING)]
    records += [StepRecord(PlannedStep("comp-later", False))]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(step_table(records, 4))
    assert [line.split()[0] for line in capture.get().splitlines()[2:]] == ["…", "s6", "s7", "now", "later"]
