"""The last lines of a local run."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.local.closing import print_summary
from pipeline.local.summary import RunStatus, RunSummary

HEADLINE = (
    "composite F1: 0.794 (95 %: 0.660 to 0.894); best baseline, Mahalanobis distance: 0.838",
    "alarms a day: 1.4",
)
GATE = {
    "passed": False,
    "conditions": [
        {"passed": True, "text": "composite F1 0.41 is at least 0.3"},
        {"passed": False, "text": "false alarms a day 7 must be at most 2 (5 too high)"},
    ],
}


def told(folder: Path, **known: Any) -> list[str]:
    """Return the lines that a run with a model, and what else is known of it, prints."""
    values: dict[str, Any] = {
        "status": RunStatus.SUCCEEDED, "pipeline": "p", "run": {}, "steps": (), "headline": HEADLINE, "metrics": {},
        "report": folder / "report.html", "earlier_report": None, "gate": None, "comparison": None, "model": "/model",
        "artifacts": {}, "pages": {}, "deployed": False, "message": "", "folder": folder,
    }  # fmt: skip
    output = io.StringIO()
    print_summary(RunSummary(**{**values, **known}), Console(file=output, width=80))
    return [line.strip() for line in output.getvalue().splitlines()]


def test_a_run_ends_with_its_main_metrics_the_gate_and_how_to_go_on(tmp_path: Path) -> None:
    lines = told(tmp_path, gate=GATE, metrics={"metrics": {"f1": 0.5}})
    start = lines.index("p succeeded") + 1
    *first, query, last = lines[start:]
    assert first == [
        f"composite F1  {HEADLINE[0].partition(': ')[2]}",
        "alarms a day  1.4",
        "gate  passed: composite F1 0.41 is at least 0.3",
        "gate  failed: false alarms a day 7 must be at most 2 (5 too high)",
        f"report  {tmp_path}/report.html",
        "model  /model (not deployed)",
    ]
    assert query.startswith("query  make serve, and in another terminal: ")
    assert query.endswith(
        f"query_model --url http://127.0.0.1:8080 --model-name columbus-eclss-ad --input {tmp_path}/request.json"
    )
    assert last == f"summary  {tmp_path}/summary.json; logs in {tmp_path}/logs"


@pytest.mark.parametrize("promoted", [True, False])
def test_a_run_says_whether_its_model_replaces_the_deployed_one(tmp_path: Path, promoted: bool) -> None:
    comparison = {"promoted": promoted, "reason": "composite F1 0.5 against 0.4 of the deployed model"}
    lines = told(tmp_path, gate=GATE, comparison=comparison, deployed=promoted)
    position = lines.index(
        f"promotion  {'promoted' if promoted else 'refused'}: composite F1 0.5 against 0.4 of the deployed model"
    )
    assert lines[position - 1].startswith("gate  failed")
    assert f"model  /model ({'deployed' if promoted else 'not deployed'})" in lines[position:]


def test_the_query_is_for_the_configuration_and_the_service_of_the_run(tmp_path: Path) -> None:
    run = {"origin": {"config": "my own.toml", "image": ""}, "parameters": {"service_name": "loop"}}
    (query,) = [line for line in told(tmp_path, run=run) if line.startswith("query")]
    assert """make serve ARGS='--config '"'"'my own.toml'"'"'', and""" in query
    assert " --model-name loop " in query
    run["origin"] = {"config": "config.toml", "image": "name:tag"}  # its results are not where `make serve` looks
    assert not [line for line in told(tmp_path, run=run) if line.startswith("query")]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.INTERRUPTED])
def test_a_run_that_did_not_succeed_says_what_to_do_and_not_how_to_query(tmp_path: Path, status: RunStatus) -> None:
    lines = told(tmp_path, status=status, headline=(), model=None, report=None)
    assert [line.split()[0] for line in lines[lines.index(f"p {status}") + 1 :]] == ["summary", "next"]
    assert "run again" in lines[-1]
