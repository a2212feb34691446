"""The dataset artifact, and its state after failures of the writer."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.arrow import timestamps_of, values_of
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter, prepare_output
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.timestamps import to_iso
from tests.helpers import MINUTE, START, TIME, nanoseconds, write_dataset
from tests.s3_front import always, s3_front, without_delete

PROJECT = Path(__file__).resolve().parents[2]
VALUES = np.array([[1.5, -2.0], [np.nan, 4.0], [5.0, 1e30]], dtype=np.float32)


def test_round_trip(tmp_path: Path) -> None:
    events = (Event(id="AR-1", start=5, end=6),)
    labels = np.array([0, 1, 0])
    write_dataset(tmp_path / "d", VALUES, labels=labels, partition_rows=2, events=events)
    dataset = Dataset.open(str(tmp_path / "d"))
    assert (dataset.channels, dataset.manifest.rows, dataset.manifest.labelled) == (("a", "b"), 3, True)
    assert dataset.manifest.events == events
    frame = dataset.load()
    assert frame.timestamps.tolist() == [nanoseconds(START) + row * MINUTE for row in range(3)]
    np.testing.assert_array_equal(frame.values, VALUES)
    assert frame.values.dtype == np.float32
    assert frame.labels is not None
    assert frame.labels.dtype == np.int8
    assert frame.labels.tolist() == [0, 1, 0]
    assert [len(part) for part in dataset.frames()] == [2, 1]


def test_only_channels_that_vary_are_read(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.STANDARD, channels=("a", "b"), centre=(0, 0), scale=(1, 1), constant=("a",))
    with DatasetWriter(str(tmp_path / "d"), TIME, ("a", "b")) as writer:
        writer.write(Frame(np.arange(3) * MINUTE, VALUES))
        dataset = writer.commit(scaler=scaler)
    varying = dataset.varying()
    assert (dataset.channels, varying.channels) == (("a", "b"), ("b",))
    for frame in (varying.load(), *varying.frames()):
        np.testing.assert_array_equal(frame.values, VALUES[:, 1:])
    assert write_dataset(tmp_path / "unscaled", VALUES).varying().channels == ("a", "b")


def test_metadata(tmp_path: Path) -> None:
    with DatasetWriter(str(tmp_path / "d"), TIME, ("a",)) as writer:
        writer.write(Frame(np.array([0, MINUTE]), np.zeros((2, 1), np.float32)))
        dataset = writer.commit(missing={"a": 3}, notes={"seed": 7})
    assert dataset.manifest.metadata() == {
        "rows": 2,
        "channels": 1,
        "partitions": 1,
        "start": "1970-01-01T00:00:00+00:00",
        "end": "1970-01-01T00:01:00+00:00",
        "missing_values": 3,
        "seed": 7,
    }


def test_metadata_does_not_say_how_many_values_are_missing_if_nobody_counted(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", np.array([[0, np.nan]]))
    assert "missing_values" not in dataset.view(dataset.manifest.partitions, {}).manifest.metadata()
    assert "missing_values" not in dataset.manifest.metadata()


def test_pandas_reads_the_timestamp_as_index(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", VALUES, labels=np.array([0, 1, 0]))
    table = pd.read_parquet(tmp_path / "d" / dataset.manifest.partitions[0].file)
    pd.testing.assert_index_equal(
        table.index, pd.date_range(START, periods=3, freq="min", tz="UTC", name=TIME), exact=True, check_names=True
    )
    assert table.dtypes.astype(str).to_dict() == {"a": "float32", "b": "float32", "Anomaly": "int8"}
    np.testing.assert_array_equal(table[["a", "b"]].to_numpy(), VALUES)


def test_read_some_channels(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", VALUES)
    np.testing.assert_array_equal(next(dataset.frames(["b"])).values, VALUES[:, [1]])
    np.testing.assert_array_equal(next(dataset.frames(["b", "a"])).values, VALUES[:, [1, 0]])
    assert next(dataset.frames([])).values.shape == (3, 0)


def test_values_of_null_float64_and_float16() -> None:
    table = pa.table(
        {
            "nulls": pa.chunked_array([pa.array([1.0, None]), pa.array([None, 4.0])]),
            "doubles": pa.array([0.1, 1e300, -1e300, np.nan]),
            "halves": pa.array(np.array([1, 2, 3, 4], np.float16)),
        }
    )
    values = values_of(table, ["nulls", "doubles", "halves"])
    expected = [[1, np.float32(0.1), 1], [np.nan, np.inf, 2], [np.nan, -np.inf, 3], [4, np.nan, 4]]
    np.testing.assert_array_equal(values, np.array(expected, np.float32))
    assert values.flags.c_contiguous


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "+05:00"])
def test_timestamps_of_any_unit_and_zone(unit: str, zone: str) -> None:
    index = pd.DatetimeIndex(["2023-06-01 12:00:00"], tz="UTC").tz_convert(zone).as_unit(unit)  # type: ignore[arg-type]
    column = pa.chunked_array([pa.array(index)])
    assert timestamps_of(column).tolist() == [nanoseconds("2023-06-01 12:00")]


def test_to_iso() -> None:
    assert to_iso(0) == "1970-01-01T00:00:00+00:00"
    assert to_iso(nanoseconds("2023-05-01 10:00:00.5")) == "2023-05-01T10:00:00.500000+00:00"
    assert to_iso(-1) == "1969-12-31T23:59:59.999999999+00:00"
    for end in (pd.Timestamp.min, pd.Timestamp.max):
        assert to_iso(end.value) == end.tz_localize("UTC").isoformat()


@given(data=st.data())
def test_load_does_not_depend_on_the_partitions(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    cuts = data.draw(st.lists(st.integers(0, 12), max_size=5).map(sorted))
    folder = tmp_path_factory.mktemp("d") / "dataset"
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    timestamps = np.arange(12, dtype=np.int64) * MINUTE
    with DatasetWriter(str(folder), TIME, ("a", "b")) as writer:
        for first, last in zip([0, *cuts], [*cuts, 12], strict=True):
            writer.write(Frame(timestamps[first:last], values[first:last]))
        dataset = writer.commit()
    assert dataset.manifest.rows == sum(len(frame) for frame in dataset.frames()) == 12
    assert all(partition.rows for partition in dataset.manifest.partitions)
    np.testing.assert_array_equal(dataset.load().timestamps, timestamps)
    np.testing.assert_array_equal(dataset.load().values, values)


def test_no_rows(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no rows are left"),
        DatasetWriter(str(tmp_path / "d"), TIME, ("a",)) as writer,
    ):
        writer.write(Frame(np.empty(0, np.int64), np.empty((0, 1), np.float32)))
        writer.commit()
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("second", [0, MINUTE])
def test_overlapping_partitions(second: int, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"-00001\.parquet"),
        DatasetWriter(str(tmp_path / "d"), TIME, ("a",)) as writer,
    ):
        writer.write(Frame(np.array([0, MINUTE]), np.zeros((2, 1), np.float32)))
        writer.write(Frame(np.array([second, 2 * MINUTE]), np.zeros((2, 1), np.float32)))
        writer.commit()
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_files_are_removed_after_an_exception(error: type[BaseException], tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", VALUES)  # of an earlier run
    with pytest.raises(error), DatasetWriter(str(tmp_path / "d"), TIME, ("a",)) as writer:
        writer.write(Frame(np.array([0]), np.zeros((1, 1), np.float32)))
        raise error
    assert not (tmp_path / "d").exists()


def test_unfinished_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such dataset"):
        Dataset.open(str(tmp_path / "d"))
    writer = DatasetWriter(str(tmp_path / "d"), TIME, ("a",))
    writer.write(Frame(np.array([0]), np.zeros((1, 1), np.float32)))
    with pytest.raises(InputError, match="unfinished dataset"):
        Dataset.open(str(tmp_path / "d"))
    writer.commit()
    assert Dataset.open(str(tmp_path / "d")).manifest.rows == 1


KILLED = """
import sys
import numpy as np
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
with DatasetWriter(sys.argv[1], "t", ("a",)) as writer:
    writer.write(Frame(np.arange(3), np.zeros((3, 1), np.float32)))
    with writer.next_file().open_output() as output:
        output.write(b"half of it")
        output.flush()
        print("writing", flush=True)
        sys.stdin.read()
"""


def test_dataset_of_a_killed_writer_does_not_open(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write_dataset(folder, VALUES)  # of an earlier run
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert [path.suffix for path in sorted(folder.iterdir())] == [".parquet", ".tmp"]
    with pytest.raises(InputError, match="unfinished dataset"):
        Dataset.open(str(folder))

    write_dataset(folder, VALUES, partition_rows=3)
    assert len(list(folder.iterdir())) == 2
    np.testing.assert_array_equal(Dataset.open(str(folder)).load().values, VALUES)


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "archive.parquet",
        "part-0.parquet",
        "part-00000-1a2b.snappy.parquet",
        ".hidden",
        "part-0123abcd-00000/x",
    ],
)
def test_output_folder_with_other_files(foreign: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", VALUES)
    file = tmp_path / "d" / foreign
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"1")
    with pytest.raises(InputError, match="has other files"):
        prepare_output(str(tmp_path / "d"))
    assert file.read_bytes() == b"1"
    file.unlink()
    assert Dataset.open(str(tmp_path / "d")).manifest.rows == 3


def test_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "archive.parquet").write_bytes(b"1")
    with pytest.raises(InputError, match="the output is a folder, but this is a file"):
        DatasetWriter(str(tmp_path / "archive.parquet"), TIME, ("a",))
    assert (tmp_path / "archive.parquet").read_bytes() == b"1"


def test_failed_attempt_without_permission_to_delete(
    bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"{bucket}/d"
    write_dataset(uri, np.zeros((10, 2)), partition_rows=5)  # of an earlier run
    caplog.set_level(logging.INFO)
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        front.answer = without_delete
        for after_commit in (False, True):
            with pytest.raises(ZeroDivisionError), DatasetWriter(uri, TIME, ("a",)) as writer:
                with pytest.raises(InputError, match="unfinished dataset"):
                    Dataset.open(uri)
                writer.write(Frame(np.array([0]), np.zeros((1, 1), np.float32)))
                if after_commit:
                    writer.commit()
                raise ZeroDivisionError
            with pytest.raises(InputError, match="unfinished dataset"):
                Dataset.open(uri)
        write_dataset(uri, VALUES)
        np.testing.assert_array_equal(Dataset.open(uri).load().values, VALUES)
        assert len(storage.resolve(uri).children()) == 1 + 2 + 1 + 1 + 1
    assert "could not be deleted" in caplog.text
    monkeypatch.setenv("S3_ENDPOINT", f"http://{s3_endpoint}")
    write_dataset(uri, VALUES)  # where deleting is allowed, nothing of the earlier attempts stays
    assert len(storage.resolve(uri).children()) == 2


def test_concurrent_attempts_do_not_mix(tmp_path: Path) -> None:
    """A step on an unreachable node may continue to write during its second attempt."""
    lost, second = (DatasetWriter(str(tmp_path / "d"), TIME, ("a",)) for _ in range(2))
    for writer, value in ((lost, 1.0), (second, 2.0)):
        writer.write(Frame(np.array([0]), np.full((1, 1), value, np.float32)))
    second.commit()
    lost.write(Frame(np.array([1]), np.full((1, 1), 1.0, np.float32)))
    assert Dataset.open(str(tmp_path / "d")).load().values.tolist() == [[2.0]]


def test_unavailable_store_does_not_hide_the_error(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("S3_RETRY_SECONDS", "3600")
    monkeypatch.setattr("container_component_src.storage.QUICK_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    with s3_front() as front:
        monkeypatch.setenv("S3_ENDPOINT", f"http://{front.address}")
        with pytest.raises(ZeroDivisionError), DatasetWriter(f"{bucket}/d", TIME, ("a",)) as writer:
            writer.write(Frame(np.array([0]), np.zeros((1, 1), np.float32)))
            front.answer = always(503, "SlowDown")
            raise ZeroDivisionError
    assert "an unfinished dataset remains" in caplog.text


def test_output_folder_is_emptied_first(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", np.zeros((10, 2)), partition_rows=1)
    write_dataset(tmp_path / "d", VALUES)
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_manifest_describes_the_files(tmp_path: Path) -> None:
    """The manifest's entry of a partition equals the content of its file."""
    dataset = write_dataset(tmp_path / "d", np.zeros((10, 2)), partition_rows=4)
    for partition in dataset.manifest.partitions:
        times = timestamps_of(pq.read_table(tmp_path / "d" / partition.file).column(TIME))
        assert (partition.rows, partition.start, partition.end) == (len(times), times[0], times[-1])


def _manifest(folder: Path, **changes: object) -> None:
    """Change the manifest of a dataset."""
    file = folder / "_manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _partitions(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "_manifest.json").read_text())["partitions"]
    return found


CONTRADICTIONS: dict[str, tuple[Callable[[Path, Path, Path], object], str]] = {
    "a missing file": (lambda folder, first, second: second.unlink(), "{second}: no such file, but the manifest"),
    "another file": (
        lambda folder, first, second: (folder / "more.parquet").write_bytes(first.read_bytes()),
        "{folder}/more.parquet: the manifest does not list this file",
    ),
    "another partition": (
        lambda folder, first, second: first.with_name(first.name.replace("-00000", "-00009")).write_bytes(b""),
        "-00009.parquet: the manifest does not list this file",
    ),
    "a repeated channel": (
        lambda folder, first, second: _manifest(folder, channels=["a", "a"]),
        "{folder}: the manifest lists 'a' twice",
    ),
    "the time as channel": (
        lambda folder, first, second: _manifest(folder, channels=["a", TIME]),
        f"the manifest lists '{TIME}' twice",
    ),
    "a repeated file": (
        lambda folder, first, second: _manifest(folder, partitions=_partitions(folder)[:1] * 2),
        "{first.name}' twice",
    ),
    "no files": (lambda folder, first, second: _manifest(folder, partitions=[]), "the manifest lists no files"),
    "another order": (
        lambda folder, first, second: _manifest(folder, partitions=_partitions(folder)[::-1]),
        "overlap in time",
    ),
    "no rows": (
        lambda folder, first, second: _manifest(folder, partitions=[{**_partitions(folder)[0], "rows": 0}]),
        "damaged manifest",
    ),
    "other channels": (lambda folder, first, second: _manifest(folder, channels=["a", "c"]), "{first}: columns differ"),
    "fewer channels": (lambda folder, first, second: _manifest(folder, channels=["a"]), "columns differ .* \\(b\\)"),
    "channels in another order": (
        lambda folder, first, second: _manifest(folder, channels=["b", "a"]),
        "columns differ .* \\(in another order\\)",
    ),
    "labels": (lambda folder, first, second: _manifest(folder, labelled=True), "columns differ .* \\(Anomaly\\)"),
    "other rows": (
        lambda folder, first, second: _manifest(
            folder, partitions=[{**each, "rows": 3} for each in _partitions(folder)]
        ),
        "{first}: not the file that the manifest describes \\(3 rows",
    ),
    "a swapped file": (
        lambda folder, first, second: second.write_bytes(first.read_bytes()),
        "{second}: not the file that the manifest describes",
    ),
    "a cut file": (
        lambda folder, first, second: second.write_bytes(second.read_bytes()[:-20]),
        "{second}: not a parquet file, truncated",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_manifest_that_contradicts_its_folder(name: str, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", np.zeros((4, 2)), partition_rows=2)
    first, second = (tmp_path / "d" / partition.file for partition in dataset.manifest.partitions)
    change, problem = CONTRADICTIONS[name]
    change(tmp_path / "d", first, second)
    with pytest.raises(InputError, match=problem.format(folder=tmp_path / "d", first=first, second=second)) as caught:
        Dataset.open(str(tmp_path / "d")).load()
    assert "\n" not in str(caught.value)


def test_a_file_is_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "2023.csv").touch()
    with pytest.raises(InputError, match="a file, not a dataset"):
        Dataset.open(str(tmp_path / "2023.csv"))
