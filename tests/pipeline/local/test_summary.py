import io
from pathlib import Path

from rich.console import Console

from pipeline.local.summary import RunStatus, RunSummary, print_summary


def test_bounds_are_shown_as_intervals(tmp_path: Path) -> None:
    metrics = {"f1": 0.75, "f1_low": 0.5123456, "f1_high": 0.9, "rows": 40_975.0, "delay_high": 7.5}
    summary = RunSummary(
        status=RunStatus.SUCCEEDED,
        pipeline="p",
        steps=(),
        metrics={"metrics": metrics},
        report=None,
        earlier_report=None,
        model=None,
        artifacts={},
        pages={},
        deployed=False,
        message="",
        last_run=tmp_path,
    )
    output = io.StringIO()
    print_summary(summary, Console(file=output, width=80))
    rows = [line.split("│") for line in output.getvalue().splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows if len(row) == 3] == [
        ["delay_high", "7.5", ""],
        ["f1", "0.75", "0.5123 to 0.9"],
        ["rows", "40,975", ""],
    ]
