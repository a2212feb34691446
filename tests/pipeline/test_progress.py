import io
from pathlib import Path

from rich.console import Console

from pipeline.local import LocalRunOptions, run_locally
from pipeline.progress import step_table
from pipeline.steps import PlannedStep, StepRecord, StepState
from tests.pipeline import local_pipelines


def test_long_table_hides_finished_steps() -> None:
    records = [StepRecord(PlannedStep(f"comp-s{index}", False), state=StepState.SUCCEEDED) for index in range(8)]
    records += [StepRecord(PlannedStep("comp-now", False), state=StepState.RUNNING)]
    records += [StepRecord(PlannedStep("comp-later", False))]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(step_table(records, 4))
    assert [line.split()[0] for line in capture.get().splitlines()[2:]] == ["…", "s6", "s7", "now", "later"]


def test_live_table_on_a_terminal(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, width=120, height=40, force_terminal=True)
    yaml_path = local_pipelines.compiled(local_pipelines.whole, tmp_path)
    project = local_pipelines.make_project(tmp_path)
    run_locally(LocalRunOptions(yaml_path, {}, tmp_path / "work", project_root=project), console)
    shown = file.getvalue()
    assert "split_parquet_file [1]" in shown
    assert "list_archives: running" not in shown
