from pathlib import Path

import pytest

from container_component_src.console.sources import Sources
from tests.console.consoles import CHANNELS, START, alarm, append, arguments, drift, payload, write_payload


def test_all_files_are_read_and_only_once(tmp_path: Path) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    drift(CHANNELS[0]).write(str(tmp_path / "drift.json"))
    write_payload(tmp_path / "log", payload(START))
    given = {"drift": str(tmp_path / "drift.json"), "payload_log": str(tmp_path / "log")}
    sources = Sources.of(arguments(tmp_path, **given))
    found = sources.poll()
    assert ({*found.alarms}, found.drift, found.problems) == ({alarm().id}, drift(CHANNELS[0]), {})
    assert found.dead
    again = sources.poll()
    assert (again.alarms, again.verdicts, again.drift, again.dead) == ({}, None, None, None)
    drift().write(str(tmp_path / "drift.json"))
    assert sources.poll().drift == drift()


def test_a_file_that_cannot_be_read_is_a_problem_until_it_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append(tmp_path / "alarms.ndjson", alarm())
    report = tmp_path / "drift.json"
    report.write_text("{}")
    sources = Sources.of(arguments(tmp_path, drift=str(report)))
    found = sources.poll()
    assert [*found.alarms] == [alarm().id]
    assert found.problems
    assert "not a check for drift" in found.problems["drift"]
    sources.poll()
    assert caplog.text.count("not a check for drift") == 1
    drift().write(str(report))
    found = sources.poll()
    assert (found.problems, found.drift) == ({}, drift())


def test_lines_that_are_no_alarms_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "alarms.ndjson").write_text("no alarm\n")
    sources = Sources.of(arguments(tmp_path))
    for _ in range(2):
        assert sources.poll().problems == {"alarms": "lines that are no alarms: 1"}


def test_a_store_that_is_away_is_a_problem(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.01")
    problems = Sources.of(arguments(tmp_path, alarms=f"{bucket}/alarms.ndjson")).poll().problems
    assert problems
    assert "does not answer" in problems["alarms"]
