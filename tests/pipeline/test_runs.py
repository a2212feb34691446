"""The command `make runs` on the runs of this machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from container_component_src.command_line import run_command
from pipeline.run_folders import begin
from pipeline.runs import runs
from tests.helpers import write_toml
from tests.pipeline.test_run_folders import summary, write

METRICS = {
    "composite_f1": 0.75, "composite_f1_low": 0.5, "composite_f1_high": 0.875, "event_recall": 0.5,
    "alarms_per_day": 1.5, "false_alarms_per_day": 0.25,
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of two runs, the first in a container."""
    first = summary("1a2b3c", 1, seed=1, backend="local")
    first["run"]["origin"] = {"commit": "0123456789abcdef-dirty", "image": "image:tag"}
    write(begin(tmp_path / "containers", "1a2b3c"), first)
    second = {**summary("2b3c4d", 2, deployed=True, backend="local"), "metrics": {"metrics": METRICS}}
    (write(begin(tmp_path, "2b3c4d"), second) / "report.html").touch()
    paths = {"archives": "archives", "reports": "reports.csv", "work_dir": str(tmp_path)}
    return write_toml(tmp_path / "config.toml", {"paths": paths})


def told(config: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run_command(runs, ["--config", str(config), *arguments], "runs") == code
    written = capsys.readouterr()
    return written.err if code else written.out


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")]


def test_runs_are_listed_with_what_tells_them_apart(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, second, first, _, shared = told(config, capsys).splitlines()
    assert cells(second)[1:] == ["2b3c4d", "succeeded", "0.750", "0.500", "1.50 (0.25)", "yes", "c", ""]
    assert cells(first)[1:] == ["1a2b3c", "succeeded", "-", "-", "-", "no", "01234567+", "seed=1"]
    assert shared == "changed in all runs: backend=local"
    assert "1a2b3c" not in told(config, capsys, "--limit", "1")


def test_two_runs_are_compared(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(config, capsys, "--compare", "1a", "2b").splitlines()
    rows = {cells(line)[0]: cells(line)[1:] for line in lines if "│" in line}
    assert rows["seed"] == ["1", "default"]
    assert rows["composite_f1"] == ["-", "0.750 (0.500 to 0.875)", "-"]
    assert rows["train"] == ["1.5", "1.5", "+0.0"]
    assert rows["rows"] == ["9", "9"]
    assert f"report of 2b3c4d  {config.parent}/runs/2b3c4d/report.html" in lines
    assert "report of 1a2b3c  none" in lines


@pytest.mark.parametrize("arguments", [(), ("--compare", "1a", "2b")])
def test_programs_read_json(config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    document: dict[str, Any] = json.loads(told(config, capsys, "--json", *arguments))
    found = {run["id"]: run for run in document["runs"]}
    assert list(found) == (["1a2b3c", "2b3c4d"] if arguments else ["2b3c4d", "1a2b3c"])
    assert found["2b3c4d"]["metrics"] == METRICS
    assert found["1a2b3c"]["started"] == "2026-01-02T03:01:00+00:00"
    assert found["1a2b3c"]["seconds"] == 30


def test_without_runs_the_list_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {"archives": "archives", "reports": "reports.csv", "work_dir": str(tmp_path / "none")}
    config = write_toml(tmp_path / "config.toml", {"paths": paths})
    assert told(config, capsys) == ""
    assert json.loads(told(config, capsys, "--json")) == {"runs": []}


def test_options_that_exclude_each_other_are_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--cluster and --remote exclude each other" in told(config, capsys, "--cluster", "--remote", code=2)
