from pathlib import Path

import pytest

from container_component_src.errors import InputError
from pipeline.steps import PlannedStep, StepBoard, StepState, load_pipeline_spec, plan_steps
from tests.pipeline import local_pipelines


def test_plan_lists_nested_steps_in_execution_order(tmp_path: Path) -> None:
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


def test_iterations_are_listed_in_the_order_of_their_items() -> None:
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


def test_iterations_of_nested_loops_have_two_indices() -> None:
    board = StepBoard([PlannedStep("comp-fit", True)], lambda record: None)
    record = board.find("comp-fit", "name-iteration-5-run/for-loop-1-iteration-2/for-loop-2-iteration-3")
    assert record.name == "fit [2] [3]"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "compile the pipeline first"),
        *(
            (content, "not a compiled pipeline")
            for content in ("a: [", "", "a: 1", "- root", "root: 1", "schemaVersion: 2.1.0", "\xff", "\0")
        ),
    ],
)
def test_unreadable_pipeline_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "pipeline.yaml"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        load_pipeline_spec(path)
