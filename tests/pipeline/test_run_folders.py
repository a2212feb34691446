"""Folders of local runs: what they tell of a run, also without a summary or with one of an earlier release."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.run_folders import begin, prune, read_run, read_runs

OF_AN_EARLIER_RELEASE = {  # the first one that wrote a summary
    "status": "succeeded", "pipeline": "p", "message": "",
    "steps": [{"name": "train", "status": "succeeded", "seconds": 1.5, "cached": False, "log": None, "message": ""}],
    "metrics": {"metrics": {"f1": 0.5}}, "report": "/gone/report", "model": "/gone/model", "deployed": True,
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("status", "run", "metrics", "steps", "deployed", "report", "model")


def summary(run_id: str, minute: int, *, deployed: bool = False, **parameters: Any) -> dict[str, Any]:
    times = {"started": f"2026-01-02T03:{minute:02d}:00Z", "ended": f"2026-01-02T03:{minute:02d}:30+00:00"}
    run = {"id": run_id, **times, "origin": {"commit": "c", "image": ""}, "parameters": parameters, "data": {"rows": 9}}
    return {**OF_AN_EARLIER_RELEASE, "run": run, "deployed": deployed}


def write(folder: Path, document: object) -> Path:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def ids(work_dir: Path) -> list[str]:
    return [run.id for run in read_runs(work_dir)]


def test_last_run_is_the_folder_of_the_run_that_began_last(tmp_path: Path) -> None:
    first = write(begin(tmp_path, "1a"), summary("1a", 1))
    second = begin(tmp_path, "2b")
    assert (tmp_path / "last_run").resolve() == second
    assert not (tmp_path / "last_run/summary.json").exists()
    assert (first / "summary.json").exists()
    tmp_path.rename(moved := tmp_path.with_name("moved"))
    assert (moved / "last_run/logs").is_dir()


def test_the_folder_of_an_earlier_release_becomes_that_of_a_run(tmp_path: Path) -> None:
    write(tmp_path / "last_run", summary("1a", 1))
    (tmp_path / "last_run/report.html").write_text("report")
    assert ids(tmp_path) == ["1a"]
    begin(tmp_path, "2b")
    assert (tmp_path / "runs/1a/report.html").read_text() == "report"
    assert ids(tmp_path) == ["2b", "1a"]


def test_a_summary_of_an_earlier_release_tells_what_it_has(tmp_path: Path) -> None:
    run = read_run(write(tmp_path / "old", OF_AN_EARLIER_RELEASE))
    assert (run.id, run.status, run.parameters, run.seconds, run.report) == ("old", "succeeded", None, None, "")
    assert (run.metrics, run.deployed, [step.seconds for step in run.steps]) == ({"f1": 0.5}, True, [1.5])


@given(st.dictionaries(st.sampled_from(KEYS), JSON) | JSON)
def test_no_summary_breaks_the_list(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    folder = write(tmp_path_factory.mktemp("work") / "runs/1a", document)
    (run,) = read_runs(folder.parents[1])
    assert json.dumps(run.document())


def test_a_run_without_a_summary_is_running_as_long_as_it_holds_the_lock(tmp_path: Path) -> None:
    begin(tmp_path, "1a")
    (begin(tmp_path, "2b") / "summary.json").write_text("{ cut o")
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert {run.id: run.status for run in read_runs(tmp_path)} == {"1a": "killed", "2b": "running"}
    assert {run.status for run in read_runs(tmp_path)} == {"killed"}


def test_the_report_of_a_run_is_its_own(tmp_path: Path) -> None:
    folder = write(tmp_path / "1a", {**summary("1a", 1), "report": None})
    (folder / "report.html").touch()  # earlier releases left the one of the run before there
    assert read_run(folder).report == ""
    write(folder, summary("1a", 1))
    assert read_run(folder).report == str(folder / "report.html")


def test_runs_stay_if_they_are_among_the_last_or_the_last_that_deployed_a_service(tmp_path: Path) -> None:
    documents = [
        summary("1", 1, deployed=True),
        summary("2", 2, deployed=True, service_name="loop"),
        summary("3", 3, deployed=True),
        summary("4", 4),
        summary("5", 5),
    ]
    for document in documents:
        write(begin(tmp_path, document["run"]["id"]), document)
    assert prune(tmp_path, 1) == ["4", "1"]
    assert ids(tmp_path) == ["5", "3", "2"]
    assert prune(tmp_path, 1) == []


def test_the_last_run_stays_even_if_the_clock_was_set_back(tmp_path: Path) -> None:
    for run_id, minute in (("1", 9), ("2", 5)):
        write(begin(tmp_path, run_id), summary(run_id, minute))
    assert prune(tmp_path, 1) == []
