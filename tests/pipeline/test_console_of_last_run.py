import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.errors import InputError
from container_component_src.model.bundle_info import open_info
from container_component_src.steps.console import Console
from container_component_src.telemetry.payload_log import expected_in, read_payload_log, values_in
from pipeline.console_of_last_run import console_of_last_run, last_console, write_test_set
from tests.helpers import write_toml
from tests.serving.bundles import make_bundle, write_test_dataset


def summarize(work_dir: Path, **artifacts: Path) -> None:
    (work_dir / "last_run").mkdir()
    summary: dict[str, Any] = {"run": {"origin": {"title": "A title"}}}
    summary["artifacts"] = {name: str(path) for name, path in artifacts.items()}
    (work_dir / "last_run" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def test_the_console_shows_what_the_last_run_has(tmp_path: Path) -> None:
    artifacts = {name: tmp_path / name for name in ("alarms", "calibrated_model", "scaled_test")}
    summarize(tmp_path, **artifacts)
    found = last_console(tmp_path, 9091)
    assert (found.alarms, found.bundle) == (str(tmp_path / "alarms"), str(tmp_path / "calibrated_model"))
    assert (found.title, found.port, found.on_loopback) == ("A title", 9091, True)
    assert found.feedback == str(tmp_path / "feedback.csv")
    assert last_console(tmp_path, 9091, "s3://bucket/feedback.csv").feedback == "s3://bucket/feedback.csv"
    assert found.payload_log == str(tmp_path / "last_run" / "payload_log")


def test_without_alarms_there_is_no_console(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run the pipeline to its end with `make run`"):
        last_console(tmp_path, 9091)
    summarize(tmp_path, calibrated_model=tmp_path)
    with pytest.raises(InputError, match="the last run has no alarms"):
        last_console(tmp_path, 9091)


def test_rows_of_the_test_set_become_a_payload_log(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "scaled", start=1_700_000_000 * 10**9)
    write_test_set(str(tmp_path / "scaled"), str(tmp_path / "bundle"), tmp_path / "log")
    info = open_info(str(tmp_path / "bundle"))
    table = read_payload_log(str(tmp_path / "log"), info.channels)
    assert table.num_rows > 0
    assert set(table.column("model_version").to_pylist()) == {info.version}
    assert np.isfinite(values_in(table, info.channels)).all()
    assert np.isfinite(expected_in(table, info.channels)).all()
    times = table.column("timestamp").to_pylist()
    assert times == sorted(times)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_the_log_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "scaled", start=1_700_000_000 * 10**9)
    (tmp_path / "alarms").touch()
    summarize(
        tmp_path, alarms=tmp_path / "alarms", calibrated_model=tmp_path / "bundle", scaled_test=tmp_path / "scaled"
    )
    paths = {"archives": "archives", "reports": "reports.csv", "work_dir": str(tmp_path)}
    config = write_toml(tmp_path / "config.toml", {"paths": paths})
    served: list[Console] = []
    monkeypatch.setattr("pipeline.console_of_last_run.serve", served.append)
    for _ in range(2):
        console_of_last_run.main(["--config", str(config)], standalone_mode=False)
        files = [*(tmp_path / "last_run" / "payload_log").rglob("*.parquet")]
        assert len(files) == 1
    assert len({file.stat().st_mtime_ns for file in files}) == 1
    assert [item.payload_log for item in served] == [str(tmp_path / "last_run" / "payload_log")] * 2
