import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local import LocalRunOptions, RunStatus, run_locally
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


class Shown(io.StringIO):
    """Terminal output; once it has a text, a file exists."""

    def __init__(self, text: str, file: Path) -> None:
        super().__init__()
        self._text, self._file = text, file

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._text in self.getvalue():
            self._file.touch()
        return written


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_running_step_shows_how_far_it_is(terminal: bool, tmp_path: Path) -> None:
    project, seen = local_pipelines.make_project(tmp_path), tmp_path / "seen"
    (project / "container_component_src" / "step.py").write_text(
        "import pathlib, sys, time\n"
        "print('2026-01-01 00:00:00,000 INFO progress: part 1/2, about 3 s left', flush=True)\n"
        f"while not pathlib.Path({str(seen)!r}).exists(): time.sleep(0.05)\n"
        "sys.exit(1)"
    )
    file = Shown("part 1/2, about 3 s left", seen)
    console = Console(file=file, width=120, height=40, force_terminal=terminal)
    yaml_path = local_pipelines.compiled(local_pipelines.forgetful, tmp_path)
    summary = run_locally(LocalRunOptions(yaml_path, {}, tmp_path / "work", project_root=project), console)
    assert summary.status is RunStatus.FAILED
    assert ("forget: running: part 1/2, about 3 s left\n" in file.getvalue()) is not terminal


def test_live_table_on_a_terminal(tmp_path: Path) -> None:
    file = io.StringIO()
    console = Console(file=file, width=120, height=40, force_terminal=True)
    yaml_path = local_pipelines.compiled(local_pipelines.whole, tmp_path)
    project = local_pipelines.make_project(tmp_path)
    run_locally(LocalRunOptions(yaml_path, {}, tmp_path / "work", project_root=project), console)
    shown = file.getvalue()
    assert "split_parquet_file [1]" in shown
    assert "list_archives: running" not in shown
