"""The identity of a run, from the first step to the report."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from container_component_src import run_record
from container_component_src.errors import InputError
from container_component_src.scratch import RUN_ID_VARIABLE
from tests import data_steps
from tests.helpers import Invoke, report, write_archive, write_reports

ORIGIN = {"title": "Water loop", "config": "own.toml", "commit": "c0ffee-dirty", "image": "name:1.0"}


def test_the_first_step_writes_who_and_what_the_run_is(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_ID_VARIABLE, "run-1")
    write_archive(tmp_path / "archives" / "2023.parquet")
    reports = write_reports(tmp_path / "r.csv", report((60, 90)))
    given = {"backend": "local", "max_epochs": 3, "seed": 42, "training_pods": "{}", "origin": json.dumps(ORIGIN)}
    files = {
        name: {"outputFile": str(tmp_path / name)} for name in ("archives.json", "left.json", "reports", "feedback")
    }
    results = ("archives", "left_out_columns", "reports_fingerprint", "feedback_fingerprint")
    parameters = dict(zip(results, files.values(), strict=True))
    entry = {"name": "run", "type": {}, "uri": str(tmp_path / "run.json"), "metadata": {}}
    task = {
        "inputs": {"parameterValues": given},
        "outputs": {
            "parameters": parameters,
            "artifacts": {"run": {"artifacts": [entry]}},
            "outputFile": str(tmp_path / "output.json"),
        },
    }
    options = [
        "--origin",
        given["origin"],
        "--run-path",
        str(tmp_path / "run.json"),
        "--executor-input",
        json.dumps(task),
    ]
    before = datetime.now(UTC)
    assert invoke(*data_steps.list_archives(tmp_path / "archives", reports), *options).code == 0
    run = run_record.read(str(tmp_path / "run.json"))
    assert (run.id, run.origin.model_dump(), run.parameters) == ("run-1", ORIGIN, {"backend": "local", "max_epochs": 3})
    assert (run.archives, run.reports) == (str(tmp_path / "archives"), str(reports))
    assert before <= run.started <= datetime.now(UTC)
    output = json.loads((tmp_path / "output.json").read_text())["artifacts"]["run"]["artifacts"][0]["metadata"]
    assert {name: output[name] for name in ("id", "commit", "title")} == {
        "id": "run-1",
        "commit": "c0ffee-dirty",
        "title": "Water loop",
    }


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"run\.json: not the identity of a run .*; name the file that list_archives"):
        run_record.read(str(tmp_path / "run.json"))
