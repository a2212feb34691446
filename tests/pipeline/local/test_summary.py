"""What a summary takes from the outputs of the steps."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from pipeline.local.summary import RunStatus, RunSummary, summarize, write_summary
from pipeline.steps import PlannedStep, StepRecord, StepState

GATE = {"passed": True, "conditions": [{"passed": True, "text": "composite F1 0.41 is at least 0.3"}]}
STARTED = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def record(name: str, **outputs: Any) -> StepRecord:
    return StepRecord(PlannedStep(f"comp-{name}", in_loop=False), state=StepState.CACHED, outputs=outputs)


def summarized(folder: Path, *records: StepRecord) -> tuple[RunSummary, dict[str, Any]]:
    """Return a summary and its file."""
    summary = summarize(
        status=RunStatus.SUCCEEDED,
        pipeline="p",
        run_id="1a2b",
        started=STARTED,
        records=records,
        message="",
        folder=folder,
        earlier_report=None,
    )
    write_summary(summary)
    return summary, json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("checked", [True, False])
def test_conditions_of_the_deployment_are_kept(tmp_path: Path, checked: bool) -> None:
    (tmp_path / "gate").write_text(json.dumps(GATE))
    model = record("calibrate", calibrated_model=dsl.Model(name="calibrated_model", uri="model"))
    gate = record("check-gate", gate=dsl.Artifact(name="gate", uri=str(tmp_path / "gate")))
    summary, document = summarized(tmp_path, *([model, gate] if checked else [model]))
    assert document["gate"] == summary.gate == (GATE if checked else None)
    assert (document["model"], document["deployed"]) == ("model", False)


@pytest.mark.parametrize("compared", [True, False])
def test_the_comparison_with_the_deployed_model_is_kept(tmp_path: Path, compared: bool) -> None:
    (tmp_path / "comparison").write_text('{"promoted": false, "reason": "it is worse"}')
    artifact = dsl.Artifact(name="comparison", uri=str(tmp_path / "comparison"))
    summary, document = summarized(tmp_path, *([record("compare-models", comparison=artifact)] if compared else []))
    assert document["comparison"] == summary.comparison
    assert document["comparison"] == ({"promoted": False, "reason": "it is worse"} if compared else None)


def test_a_run_is_identified_by_what_its_first_step_wrote(tmp_path: Path) -> None:
    known = {"id": "1a2b", "started": "2026-01-02T03:04:06Z", "origin": {"commit": "c"}, "parameters": {"seed": 1}}
    (tmp_path / "run").write_text(json.dumps(known))
    extent = {"rows": 1_100_000.0, "channels": 46.0, "start": "2022-01-01T00:00:00Z", "end": "2024-01-01T00:00:00Z"}
    first = record("list-archives", run=dsl.Artifact(name="run", uri=str(tmp_path / "run")))
    data = record("run-dask-preprocessing", dataset=dsl.Dataset(uri="d", metadata={**extent, "partitions": 9.0}))
    _, document = summarized(tmp_path, first, data, record("run-evaluation", headline="a: 1\nb: 2"))
    ended = document["run"].pop("ended")
    assert document["run"] == {**known, "data": {**extent, "rows": 1_100_000, "channels": 46}}
    assert isinstance(document["run"]["data"]["rows"], int)
    assert datetime.fromisoformat(ended) > STARTED


def test_a_run_whose_first_step_failed_has_an_id_and_its_times(tmp_path: Path) -> None:
    summary, document = summarized(tmp_path)
    assert document["run"] == {
        "id": "1a2b",
        "started": "2026-01-02T03:04:05.000006+00:00",
        "ended": summary.run["ended"],
        "data": {},
    }
    assert summary.headline == ()


def test_bytes_that_a_run_wrote_are_counted_but_not_those_of_cached_steps(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name, content in {"train/part": "12345", "train/_manifest.json": "{}", "scaler": "123"}.items():
        (tmp_path / name).write_text(content)
    train = dsl.Dataset(name="train", uri=str(tmp_path / "train"))
    split = record("split", train=train)
    split.state = StepState.SUCCEEDED
    fit = record("fit-scaler", scaler=dsl.Artifact(name="scaler", uri=str(tmp_path / "scaler")))
    _, document = summarized(tmp_path, split, fit)
    assert [step["written_bytes"] for step in document["steps"]] == [7, 0]
    assert document["written_bytes"] == 7
