"""The thread that writes a payload log: when it writes, what it drops, and that it never fails its caller."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.errors import InputError, StepError
from container_component_src.storage import Location
from container_component_src.telemetry import payload_writer
from container_component_src.telemetry.payload_log import Payload, read_payload_log, write_payloads
from container_component_src.telemetry.payload_writer import PayloadWriter, delete_old_days
from tests.telemetry.payloads import CHANNELS, DAY, NOON, payload

NEVER = 3600.0


class Rows(Counter[str]):
    """Counts rows, and wakes who waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def __call__(self, written: int, dropped: int) -> None:
        with self.changed:
            self["written"] += written
            self["dropped"] += dropped
            self.changed.notify_all()

    def wait(self, name: str, rows: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self[name] >= rows, 60)


@pytest.fixture
def rows() -> Rows:
    return Rows()


def files(root: Path) -> int:
    return len([*root.glob("date=*/*.parquet")])


def test_closing_writes_what_waits(tmp_path: Path, rows: Rows) -> None:
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows, file_seconds=NEVER)
    assert writer.put(payload(request_id="a"))
    assert writer.put(payload(request_id="b"))
    assert files(tmp_path) == 0
    writer.close()
    assert files(tmp_path) == 1
    assert read_payload_log(str(tmp_path)).num_rows == 6
    assert rows == {"written": 6, "dropped": 0}


def test_a_file_is_written_at_so_many_rows(tmp_path: Path, rows: Rows) -> None:
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows, file_seconds=NEVER, file_rows=5)
    writer.put(payload())
    writer.put(payload())
    rows.wait("written", 6)
    writer.put(payload())
    assert files(tmp_path) == 1
    writer.close()
    assert files(tmp_path) == 2


def test_a_file_is_written_after_so_many_seconds(tmp_path: Path, rows: Rows) -> None:
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows, file_seconds=0.01)
    writer.put(payload(rows=1))
    rows.wait("written", 1)
    writer.close()
    assert files(tmp_path) == 1


def test_nothing_is_written_without_rows(tmp_path: Path) -> None:
    PayloadWriter(str(tmp_path), CHANNELS).close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_queue_drops_and_counts(tmp_path: Path, rows: Rows) -> None:
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows, file_seconds=NEVER, most_bytes=2 * payload().size)
    assert [writer.put(payload()) for _ in range(4)] == [True, True, False, False]
    writer.close()
    assert rows == {"written": 6, "dropped": 6}


def test_a_closed_writer_takes_nothing(tmp_path: Path, rows: Rows) -> None:
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows)
    writer.close()
    assert not writer.put(payload())
    assert rows == {"written": 0, "dropped": 3}


def test_payloads_that_are_being_written_count_for_the_limit(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def slow(root: Location, channels: Sequence[str], payloads: Sequence[Payload]) -> None:
        writing.set()
        go_on.wait()
        write_payloads(root, channels, payloads)

    monkeypatch.setattr(payload_writer, "write_payloads", slow)
    writer = PayloadWriter(
        str(tmp_path), CHANNELS, count=rows, file_seconds=NEVER, file_rows=1, most_bytes=payload().size
    )
    assert writer.put(payload())
    writing.wait()
    assert not writer.put(payload())
    go_on.set()
    rows.wait("written", 3)
    assert writer.put(payload())
    writer.close()
    assert rows == {"written": 6, "dropped": 3}


@pytest.mark.parametrize("error", [StepError("the store is away"), OSError("no room"), ValueError("a defect")])
def test_a_store_that_fails_drops_the_file_and_no_more(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    failures = [error]

    def failing(root: Location, channels: Sequence[str], payloads: Sequence[Payload]) -> None:
        if failures:
            raise failures.pop()
        write_payloads(root, channels, payloads)

    monkeypatch.setattr(payload_writer, "write_payloads", failing)
    writer = PayloadWriter(str(tmp_path), CHANNELS, count=rows, file_seconds=NEVER, file_rows=1)
    with caplog.at_level(logging.WARNING):
        writer.put(payload(request_id="lost"))
        rows.wait("dropped", 3)
    assert f"payload log: 3 rows are dropped: {error}" in caplog.text
    writer.put(payload(request_id="kept"))
    writer.close()
    assert {*read_payload_log(str(tmp_path)).column("request_id").to_pylist()} == {"kept"}
    assert rows == {"written": 3, "dropped": 3}


def test_closing_does_not_wait_for_a_store_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(payload_writer, "write_payloads", lambda *_: go_on.wait())
    writer = PayloadWriter(str(tmp_path), CHANNELS)
    writer.put(payload())
    with caplog.at_level(logging.WARNING):
        writer.close(timeout=0.01)
    go_on.set()
    assert "may be lost" in caplog.text


def test_old_days_are_deleted(tmp_path: Path) -> None:
    for day in range(5):
        write_payloads(storage.resolve(str(tmp_path)), CHANNELS, [payload(NOON + day * DAY)])
    (tmp_path / "date=2001-02-30").mkdir()
    (tmp_path / "keep").write_text("not ours")
    deleted = delete_old_days(storage.resolve(str(tmp_path)), 2, NOON + 4 * DAY)
    assert deleted == ["date=2023-11-15", "date=2023-11-16"]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["date=2001-02-30", "date=2023-11-17", "date=2023-11-18", "date=2023-11-19", "keep"]


def test_days_that_are_too_old_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = NOON + 3 * DAY
    monkeypatch.setattr("time.time_ns", lambda: now)
    for day in range(3):
        write_payloads(storage.resolve(str(tmp_path)), CHANNELS, [payload(NOON + day * DAY)])
    PayloadWriter(str(tmp_path), CHANNELS, days=1).close()
    assert [folder.name for folder in tmp_path.iterdir()] == ["date=2023-11-17"]
    PayloadWriter(str(tmp_path), CHANNELS, days=0).close()
    assert files(tmp_path) == 1


def test_a_failed_deletion_does_not_stop_the_log(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(*_: object) -> list[str]:
        raise InputError("no permission")

    monkeypatch.setattr(payload_writer, "delete_old_days", denied)
    with caplog.at_level(logging.WARNING):
        writer = PayloadWriter(str(tmp_path), CHANNELS, days=1, count=rows)
        writer.put(payload())
        writer.close()
    assert "old folders are not deleted: no permission" in caplog.text
    assert rows["written"] == 3


def test_a_path_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: the output is a folder, but this is a file"):
        PayloadWriter(str(tmp_path / "file"), CHANNELS)
