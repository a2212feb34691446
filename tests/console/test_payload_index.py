from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.console import payload_index
from container_component_src.console.payload_index import Footer, PayloadIndex
from container_component_src.storage import Location, resolve
from container_component_src.telemetry.payload_log import Period, payload_files
from tests.console.consoles import CHANNELS, SECOND, START, payload, write_payload

DAY = 86_400 * SECOND
FAN, CURRENT = CHANNELS


def index(root: Path, now: int = START) -> PayloadIndex:
    return PayloadIndex(resolve(str(root)), now=lambda: now)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose footers are read from now on."""
    names: list[str] = []
    look = payload_index._footer

    def noted(file: Location) -> Footer | None:
        names.append(file.name)
        return look(file)

    monkeypatch.setattr(payload_index, "_footer", noted)
    return names


def test_each_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = opened(monkeypatch)
    found = index(tmp_path / "log")
    assert not found.poll()
    write_payload(tmp_path / "log", payload(START), payload(START + 60 * SECOND))
    assert (found.poll(), found.poll(), len(names)) == (True, False, 2)
    write_payload(tmp_path / "log", payload(START + 120 * SECOND))
    assert (found.poll(), len(set(names)), len(names)) == (True, 3, 3)


def test_files_of_a_period(tmp_path: Path) -> None:
    times = [START, START + 3600 * SECOND, START + 2 * DAY]
    write_payload(tmp_path, *(payload(time) for time in times))
    found = index(tmp_path)
    found.poll()
    assert len(found.files(Period(START, START + 1))) == 1
    assert len(found.files(Period(START - DAY, START))) == 0
    assert len(found.files(Period(START + 59 * SECOND, START + 3601 * SECOND))) == 2


def test_a_long_log_is_looked_into_little_by_little_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload_index, "NEW_FILES", 2)
    write_payload(tmp_path, *(payload(START + hour * 3600 * SECOND) for hour in range(5)))
    found = index(tmp_path)
    found.poll()
    assert len(found.files(Period(START + 3 * 3600 * SECOND, START + DAY))) == 2
    assert found.files(Period(START, START + 3600 * SECOND)) == []
    assert [found.poll() for _ in range(3)] == [True, True, False]
    assert len(found.files(Period(START, START + 3600 * SECOND))) == 1


def test_after_the_first_look_only_new_days_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Period | None] = []

    def list_files(root: Location, period: Period | None) -> Iterator[Location]:
        listed.append(period)
        return payload_files(root, period)

    monkeypatch.setattr(payload_index, "payload_files", list_files)
    now = [START]
    found = PayloadIndex(resolve(str(tmp_path)), now=lambda: now[0])
    write_payload(tmp_path, payload(START - 3 * DAY), payload(START))
    found.poll()
    found.poll()
    assert listed[0] is None
    assert listed[1]
    assert listed[1].start > START - 2 * DAY
    (old,) = (path for path in tmp_path.iterdir() if path.name == "date=2023-11-12")
    for file in old.iterdir():
        file.unlink()
    now[0] += DAY
    found.poll()
    assert listed[2] is None
    assert found.files(Period(START - 4 * DAY, START - DAY)) == []


def test_a_channel_without_values_is_dead_after_a_time(tmp_path: Path) -> None:
    found = index(tmp_path)
    write_payload(tmp_path, payload(START))
    found.poll()
    assert (found.last_row, found.dead(30 * SECOND)) == (START + 59 * SECOND, {})
    write_payload(tmp_path, payload(START + 60 * SECOND, dead=[CURRENT]))
    found.poll()
    assert found.dead(60 * SECOND) == {CURRENT: START + 59 * SECOND}
    assert found.dead(61 * SECOND) == {}
    write_payload(tmp_path, payload(START + 120 * SECOND))
    found.poll()
    assert found.dead(60 * SECOND) == {}


def test_a_channel_that_was_never_seen_is_dead(tmp_path: Path) -> None:
    write_payload(tmp_path, payload(START, 400, dead=[FAN]))
    found = index(tmp_path)
    found.poll()
    assert found.dead(300 * SECOND) == {FAN: 0}


def test_a_damaged_file_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_payload(tmp_path, payload(START))
    folder = tmp_path / "date=2023-11-15"
    (folder / "130000000000-130000000001-00000000.parquet").write_bytes(b"PAR1")
    found = index(tmp_path)
    assert found.poll()
    assert not found.poll()
    assert len(found.files(Period(0, 2**62))) == 1
    assert caplog.text.count("a file is left out") == 1
