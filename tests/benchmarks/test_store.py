"""The server of the benchmark of stores, and what the benchmark makes of its record."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import benchmarks.store
from benchmarks.limited_store import FREE, LIMITED, LimitedStore, limited_store
from benchmarks.store import MEASURED, OPTIONS, Workbench, covered, partitions, rates, steps, taken
from container_component_src import storage
from container_component_src.s3_upload import PART_BYTES
from container_component_src.telemetry.dataset import Frame

pytestmark = pytest.mark.slow
GIGABITS = 0.4


@pytest.fixture(scope="module")
def running() -> Iterator[LimitedStore]:
    with limited_store(GIGABITS) as store:
        yield store


@pytest.fixture
def store(running: LimitedStore, monkeypatch: pytest.MonkeyPatch) -> LimitedStore:
    monkeypatch.setenv("S3_ENDPOINT", running.addresses[FREE])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return running


def test_files_and_folders(store: LimitedStore) -> None:
    folder = storage.resolve("s3://bucket/files")
    contents = {"a b&c": b"small", "large": bytes(PART_BYTES) + b"end"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "below" / "x").write_bytes(b"1")
    assert {name: (folder / name).read_bytes(None) for name in contents} == contents
    assert [child.name for child in folder.children()] == ["a b&c", "below", "large"]
    assert [item.exists() for item in (folder, folder / "below", folder / "other")] == [True, True, False]
    folder.remove()
    assert folder.children() == []
    assert not folder.exists()


def test_network_has_the_rate(store: LimitedStore) -> None:
    size = 10**7
    start = time.perf_counter()
    found = rates(store, size)[LIMITED]
    assert time.perf_counter() - start > 1.9 * size * 8 / (GIGABITS * 1e9)  # once in each direction
    assert all(rate < 1.1 * GIGABITS for rate in found)


def test_union_of_spans() -> None:
    assert covered([(5, 7), (0, 2), (1, 3), (1, 2)]) == 5
    assert covered([]) == 0


def test_transfers_of_an_action(store: LimitedStore) -> None:
    file = storage.resolve("s3://bucket/x")
    file.write_bytes(b"12345")
    run = taken(lambda: file.read_bytes(None), store)
    assert (run.megabytes("down"), run.megabytes("up")) == (5e-6, 0)
    assert run.busy("down") > run.busy("up") == run.both == 0


def test_partitions_with_each_of_the_options(store: LimitedStore) -> None:
    frame = Frame(np.arange(100, dtype=np.int64), np.ones((100, 3), dtype=np.float32))
    found = partitions([frame, Frame(frame.timestamps + 100, frame.values)], store, repeats=1)
    assert list(found) == list(OPTIONS)
    for ((written, read),) in found.values():
        assert 0 < written.megabytes("up") <= read.megabytes("down")


def test_measured_steps_run_over_both_networks(
    store: LimitedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, str]] = []

    def run(command: Sequence[str], log: Path) -> None:
        assert "s3://bucket/" in " ".join(command)
        assert str(tmp_path) not in " ".join(command)
        ran.append((command[0], os.environ["S3_ENDPOINT"]))

    monkeypatch.setattr(benchmarks.store, "run_command", run)
    monkeypatch.setattr(Workbench, "split_hours", lambda self: (1, 1))
    work = Workbench(tmp_path, rows=3_000, channels=4, epochs=1)
    work.upload()
    assert len(storage.resolve("s3://bucket/example/telemetry").children()) == 2
    assert list(steps(work, store, repeats=1)) == [(step, network) for step in MEASURED for network in (FREE, LIMITED)]
    free, limited = store.addresses[FREE], store.addresses[LIMITED]
    assert ran[:4] == [("split_parquet_file", free)] * 2 + [(MEASURED[0], free), (MEASURED[0], limited)]
    assert ran[-2:] == [(MEASURED[1], free), (MEASURED[1], limited)]
