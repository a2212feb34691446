import io
import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from rich.console import Console

from pipeline.local.summary import RunStatus, RunSummary, SummaryRules, print_summary, summarize, write_summary
from pipeline.steps import PlannedStep, StepRecord, StepState

GATE = {
    "passed": False,
    "conditions": [
        {"passed": True, "text": "composite F1 0.41 is at least 0.3"},
        {"passed": False, "text": "false alarms a day 7 must be at most 2 (5 too high)"},
    ],
}


def record(name: str, **outputs: Any) -> StepRecord:
    return StepRecord(PlannedStep(f"comp-{name}", in_loop=False), state=StepState.CACHED, outputs=outputs)


@pytest.mark.parametrize("checked", [True, False])
def test_conditions_of_the_deployment_are_told(tmp_path: Path, checked: bool) -> None:
    (tmp_path / "gate").write_text(json.dumps(GATE))
    model = record("calibrate", calibrated_model=dsl.Model(name="calibrated_model", uri="model"))
    gate = record("check-gate", gate=dsl.Artifact(name="gate", uri=str(tmp_path / "gate")))
    summary = summarize(
        status=RunStatus.SUCCEEDED,
        pipeline="p",
        records=[model, gate] if checked else [model],
        message="",
        last_run=tmp_path,
        rules=SummaryRules(),
    )
    write_summary(summary)
    assert json.loads((tmp_path / "summary.json").read_text())["gate"] == (GATE if checked else None)
    output = io.StringIO()
    print_summary(summary, Console(file=output, width=80))
    lines = [line.strip() for line in output.getvalue().splitlines()]
    assert lines.count("model  model (not deployed)") == 1
    assert [line for line in lines if line.startswith("gate")] == [
        "gate  passed: composite F1 0.41 is at least 0.3",
        "gate  failed: false alarms a day 7 must be at most 2 (5 too high)",
    ][: 2 * checked]


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        (
            {"f1": 0.75, "f1_low": 0.5123456, "f1_high": 0.9, "rows": 40_975.0, "delay_high": 7.5},
            [["f1", "0.75", "0.5123 to 0.9"]],  # the file has the others
        ),
        ({"rows": 40_975.0, "delay_high": 7.5}, [["delay_high", "7.5", ""], ["rows", "40,975", ""]]),
    ],
)
def test_metrics_with_intervals_are_the_main_ones(
    tmp_path: Path, metrics: dict[str, float], shown: list[list[str]]
) -> None:
    summary = RunSummary(
        status=RunStatus.SUCCEEDED,
        pipeline="p",
        steps=(),
        metrics={"metrics": metrics},
        report=None,
        earlier_report=None,
        gate=None,
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
    assert [[cell.strip() for cell in row] for row in rows if len(row) == 3] == shown
