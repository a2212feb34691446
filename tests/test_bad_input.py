"""Invalid input to the data steps: exit code 2, a one-line error that names the problem, and no partial output."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src.steps.data import SETS
from container_component_src.telemetry.dataset import Dataset
from tests import data_steps
from tests.helpers import (
    START,
    TIME,
    Invoke,
    RunCommand,
    assert_nothing_written,
    assert_refused,
    report,
    telemetry,
    write_archive,
    write_dataset,
    write_reports,
)

Fault = tuple[Callable[[Path], object], tuple[str, ...]]  # writes an invalid archive; texts in the error


def _times(frame: pd.DataFrame, change: Callable[["pd.Series[Any]"], Any]) -> pd.DataFrame:
    return frame.assign(**{TIME: change(frame[TIME])})


def _with_time_at(row: int, time: pd.Timestamp | None) -> Callable[[Path], object]:
    def write(path: Path) -> object:
        frame = telemetry()
        frame.loc[row, TIME] = time
        return write_archive(path, frame)

    return write


def _truncated(path: Path) -> None:
    content = write_archive(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _damaged(path: Path) -> None:
    """Write a file with a valid footer and pages that cannot be decompressed."""
    content = bytearray(write_archive(path, row_group_size=600).read_bytes())
    content[4:4000] = b"\xff" * 3996
    path.write_bytes(content)


def _beyond_nanoseconds(path: Path) -> None:
    seconds = pa.array([0, 10**11], pa.timestamp("s", tz="UTC"))
    pq.write_table(pa.table({TIME: seconds, "cabin_pressure": [1.0, 2.0], "fan_speed": [1.0, 2.0]}), path)


def _unreadable(path: Path) -> None:
    path.write_text("normalizedTime,x\n2023-01-01,1.0\n")


# Detected without reading rows, by the listing too.
SCHEMA_FAULTS: dict[str, Fault] = {
    "not parquet": (_unreadable, ("not a parquet file",)),
    "empty file": (lambda path: path.touch(), ("not a parquet file",)),
    "a folder": (
        lambda path: (path / "part").mkdir(parents=True),
        ("a folder or a device, where one file is expected",),
    ),
    "truncated": (_truncated, ("truncated",)),
    "no timestamp column": (
        lambda path: write_archive(path, telemetry().drop(columns=TIME)),
        (f"no timestamp column '{TIME}'", "--timestamp-col"),
    ),
    "no time zone": (
        lambda path: write_archive(path, _times(telemetry(), lambda times: times.dt.tz_localize(None))),
        (f"column '{TIME}' has no time zone", "UTC"),
    ),
    "times as numbers": (
        lambda path: write_archive(path, _times(telemetry(), lambda times: np.arange(len(times)))),
        (f"column '{TIME}' has type int64",),
    ),
    "times as text": (
        lambda path: write_archive(path, _times(telemetry(), lambda times: times.astype(str))),
        (f"column '{TIME}' has type",),
    ),
    "no channel": (
        lambda path: write_archive(path, telemetry()[[TIME, "mode", "status"]]),
        ("no channel ('mode' (text), 'status' (text))",),
    ),
    "a channel named as the labels": (lambda path: write_archive(path, telemetry(Anomaly=0.5)), ("'Anomaly'",)),
}
# Detected only in the rows.
ROW_FAULTS: dict[str, Fault] = {
    "damaged pages": (_damaged, ("damaged",)),
    "unsorted": (_with_time_at(250, pd.Timestamp(START, tz="UTC")), (f"column '{TIME}'", "row 250", "earlier", "sort")),
    "unsorted across row groups": (
        _with_time_at(300, pd.Timestamp("2023-01-01 04:00", tz="UTC")),
        ("row 300", "earlier than the previous row"),
    ),
    "duplicated": (_with_time_at(101, pd.Timestamp("2023-01-01 01:40", tz="UTC")), ("row 101", "repeats")),
    "duplicated across row groups": (_with_time_at(100, pd.Timestamp("2023-01-01 01:39", tz="UTC")), ("row 100",)),
    "null": (_with_time_at(499, None), (f"column '{TIME}'", "row 499 has no timestamp")),
    "beyond nanoseconds": (_beyond_nanoseconds, (f"column '{TIME}'", "is not in the years")),
}


@pytest.mark.parametrize("name", SCHEMA_FAULTS)
def test_listing_rejects_an_archive(name: str, invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    write_archive(tmp_path / "archives" / "2022.parquet", telemetry(start="2022-01-01"))
    make, named = SCHEMA_FAULTS[name]
    make(tmp_path / "archives" / "2023.parquet")
    assert_refused(
        invoke(*data_steps.list_archives(tmp_path / "archives", reports)),
        tmp_path / "archives" / "2023.parquet",
        *named,
    )


@pytest.mark.parametrize("name", [*SCHEMA_FAULTS, *ROW_FAULTS])
def test_splitting_rejects_an_archive(name: str, invoke: Invoke, tmp_path: Path) -> None:
    make, named = (SCHEMA_FAULTS | ROW_FAULTS)[name]
    make(tmp_path / "2023.parquet")
    assert_refused(
        invoke(*data_steps.split(tmp_path / "2023.parquet", tmp_path / "parts")), tmp_path / "2023.parquet", *named
    )
    assert_nothing_written(tmp_path / "parts")


@pytest.mark.usefixtures("thread_backend")
@pytest.mark.parametrize("name", [*SCHEMA_FAULTS, *ROW_FAULTS])
def test_preprocessing_rejects_a_file(name: str, invoke: Invoke, tmp_path: Path) -> None:
    good = write_archive(tmp_path / "2022.parquet", telemetry(start="2022-01-01"))
    make, named = (SCHEMA_FAULTS | ROW_FAULTS)[name]
    make(tmp_path / "2023.parquet")
    outcome = invoke(*data_steps.preprocess([good, tmp_path / "2023.parquet"], tmp_path / "dataset"))
    assert_refused(outcome, tmp_path / "2023.parquet", *named)
    assert_nothing_written(tmp_path / "dataset")


def test_no_archives(invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    assert_refused(invoke(*data_steps.list_archives(tmp_path / "absent", reports)), tmp_path / "absent", "no archives")
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "notes.txt").touch()
    assert_refused(
        invoke(*data_steps.list_archives(tmp_path / "archives", reports)), tmp_path / "archives", "no archives"
    )


def test_mixed_formats(invoke: Invoke, tmp_path: Path) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    write_archive(tmp_path / "archives" / "2023.parquet")
    telemetry(rows=20).to_csv(tmp_path / "archives" / "2022.csv", index=False)
    outcome = invoke(*data_steps.list_archives(tmp_path / "archives", reports))
    assert_refused(outcome, tmp_path / "archives", "different formats (2022.csv and 2023.parquet)")


def test_absent_archive(invoke: Invoke, tmp_path: Path) -> None:
    assert_refused(
        invoke(*data_steps.split(tmp_path / "2023.parquet", tmp_path / "parts")), tmp_path / "2023.parquet", "no such"
    )
    assert_nothing_written(tmp_path / "parts")


def test_listing_without_reports(invoke: Invoke, tmp_path: Path) -> None:
    write_archive(tmp_path / "archives" / "2023.parquet")
    outcome = invoke(*data_steps.list_archives(tmp_path / "archives", tmp_path / "reports.xlsx"))
    assert_refused(outcome, tmp_path / "reports.xlsx", "no such file")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.drop(columns="fan_speed"), "lacks 'fan_speed'"),
        (lambda frame: frame.assign(o2=0.2), "it also has 'o2'"),
        (lambda frame: frame.rename(columns={"fan_speed": "fan"}), "lacks 'fan_speed'"),
        (lambda frame: frame.astype({"fan_speed": str}), "lacks 'fan_speed' (text)"),
        (lambda frame: frame.assign(status=None), "it also has 'status'"),
    ],
)
@pytest.mark.usefixtures("thread_backend")
def test_different_channels(
    change: Callable[[pd.DataFrame], pd.DataFrame], named: str, invoke: Invoke, tmp_path: Path
) -> None:
    reports = write_reports(tmp_path / "reports.csv", report((60, 90)))
    first = write_archive(tmp_path / "archives" / "2022.parquet", telemetry(start="2022-01-01"))
    second = write_archive(tmp_path / "archives" / "2023.parquet", change(telemetry()))
    listed = invoke(*data_steps.list_archives(tmp_path / "archives", reports))
    assert_refused(listed, second, first, named, "(a column may be empty), or exclude the column with exclude_channels")
    assert_refused(invoke(*data_steps.preprocess([first, second], tmp_path / "dataset")), second, named)
    assert_nothing_written(tmp_path / "dataset")


@pytest.mark.usefixtures("thread_backend")
def test_overlapping_archives(invoke: Invoke, tmp_path: Path) -> None:
    first = write_archive(tmp_path / "a.parquet", telemetry(rows=100))
    second = write_archive(tmp_path / "b.parquet", telemetry(rows=100, start="2023-01-01 01:38"))
    for paths in ([first, second], [second, first], [first, first]):
        outcome = invoke(*data_steps.preprocess(paths, tmp_path / "dataset"))
        assert_refused(outcome, paths[0] if paths[0] == paths[1] else second, first, "remove the rows of this period")
        assert_nothing_written(tmp_path / "dataset")


def test_archive_without_rows(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet", telemetry().head(0))
    assert_refused(invoke(*data_steps.split(archive, tmp_path / "parts")), archive, "no rows")
    assert_nothing_written(tmp_path / "parts")


@pytest.mark.usefixtures("thread_backend")
def test_sample_without_rows(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet", telemetry(rows=20))
    outcome = invoke(*data_steps.preprocess([archive], tmp_path / "dataset", 1e-9))
    assert_refused(outcome, tmp_path / "dataset", "no rows are left")
    assert_nothing_written(tmp_path / "dataset")


@pytest.mark.usefixtures("thread_backend")
def test_no_partitions(invoke: Invoke, tmp_path: Path) -> None:
    assert_refused(invoke(*data_steps.preprocess([], tmp_path / "dataset")), "--partitioned-telemetry-paths")
    assert_refused(invoke(*data_steps.preprocess([tmp_path / "absent"], tmp_path / "dataset")), tmp_path / "absent")
    assert_nothing_written(tmp_path / "dataset")


def test_unfinished_or_damaged_dataset(invoke: Invoke, tmp_path: Path) -> None:
    fit = ("fit_scaler", "--scaler-path", tmp_path / "s.json", "--train-df-path")
    assert_refused(invoke(*fit, tmp_path / "absent"), tmp_path / "absent", "no such dataset")
    dataset = write_dataset(tmp_path / "train", np.eye(2), partition_rows=1)
    partition = tmp_path / "train" / dataset.manifest.partitions[1].file
    partition.write_bytes(b"PAR1")
    assert_refused(invoke(*fit, tmp_path / "train"), partition, "damaged")
    partition.unlink()
    assert_refused(invoke(*fit, tmp_path / "train"), partition, "no such file")
    manifest = Path((dataset.location / "_manifest.json").path)
    manifest.write_text(manifest.read_text()[:-20])
    assert_refused(invoke(*fit, tmp_path / "train"), manifest, "damaged manifest")
    manifest.unlink()
    assert_refused(invoke(*fit, tmp_path / "train"), tmp_path / "train", "unfinished")
    assert not (tmp_path / "s.json").exists()


def test_output_folder_with_other_files(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet")
    before = archive.read_bytes()
    assert_refused(invoke(*data_steps.split(archive, tmp_path)), tmp_path, "the folder has other files (2023.parquet)")
    assert_refused(invoke(*data_steps.split(archive, archive)), archive, "the output is a folder, but this is a file")
    assert archive.read_bytes() == before


@pytest.mark.usefixtures("thread_backend")
def test_output_that_is_an_input(invoke: Invoke, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet")
    reports = write_reports(tmp_path / "reports.csv", report((300, 330)))
    raw, data, labels = (tmp_path / name for name in ("raw", "data", "labels"))
    scaler = tmp_path / "scaler.json"
    assert invoke(*data_steps.split(archive, raw), "--split-storage", "copy").code == 0
    assert_refused(invoke(*data_steps.preprocess([raw], raw)), raw, "uses this folder already")
    assert invoke(*data_steps.preprocess([raw], data)).code == 0
    assert_refused(invoke(*data_steps.label(data, reports, f"file://{data}/")), data, "uses this folder already")
    assert invoke(*data_steps.label(data, reports, labels)).code == 0
    taken = {"train": data, "val": labels, "calibration": tmp_path / "train", "test": tmp_path / "calibration"}
    for option, folder in ((f"--{name}-df-path", folder) for name, folder in taken.items()):
        outcome = invoke(*data_steps.three_way(data, labels, tmp_path), option, folder)
        assert_refused(outcome, folder, "uses this folder already")
    assert invoke(*data_steps.fit(data, scaler)).code == 0
    assert_refused(invoke(*data_steps.scale(scaler, [data] * 4, tmp_path), "--scaled-train-df-path", data), data)
    for folder in (raw, data, labels):  # unchanged
        assert sum(map(len, Dataset.open(str(folder)).frames())) == 600


@pytest.mark.parametrize("fraction", ["0", "-0.1", "1.0001", "nan", "inf", "", "much"])
def test_fraction_out_of_range(fraction: str, invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke(*data_steps.preprocess([tmp_path], tmp_path / "dataset", fraction))
    assert_refused(outcome, "--sample-frac")


@pytest.mark.parametrize("paths", ["[", "[1]", "['a']"])
def test_invalid_list_of_paths(paths: str, invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke(
        "run_dask_preprocessing", "--partitioned-telemetry-paths", paths, "--df-out-path", tmp_path / "dataset"
    )
    assert_refused(outcome, "--partitioned-telemetry-paths")


def _full_after(size: int) -> Callable[[], None]:
    """Limit the size of files: writing more fails as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_full_disk_while_splitting(run_command: RunCommand, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet", telemetry(rows=20_000), row_group_size=10_000)
    command = data_steps.split(archive, tmp_path / "parts")
    outcome = run_command(*command, "--split-storage", "copy", before_start=_full_after(100_000))
    assert_refused(outcome, tmp_path / "parts" / "part-", "-00000.parquet", "no space left")
    assert_nothing_written(tmp_path / "parts")


@pytest.mark.slow
def test_full_disk_while_preprocessing(run_command: RunCommand, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "2023.parquet", telemetry(rows=20_000))
    small = write_archive(tmp_path / "2022.parquet", telemetry(rows=20, start="2022-01-01"))
    command = data_steps.preprocess([small, archive], tmp_path / "dataset")
    outcome = run_command(*command, before_start=_full_after(100_000))
    assert_refused(outcome, tmp_path / "dataset" / "part-", "-00001.parquet", "no space left")
    assert_nothing_written(tmp_path / "dataset")


@pytest.mark.slow
def test_full_disk_while_scaling(run_command: RunCommand, invoke: Invoke, tmp_path: Path) -> None:
    train, scaler = tmp_path / "train", tmp_path / "scaler.json"
    write_dataset(train, np.random.default_rng(0).normal(size=(20_000, 2)))
    command = data_steps.fit(train, scaler)
    assert_refused(run_command(*command, before_start=_full_after(50)), scaler, "no space left")
    assert_nothing_written(tmp_path / "scaler")
    assert not scaler.exists()

    assert invoke(*command).code == 0
    outcome = run_command(*data_steps.scale(scaler, [train] * 4, tmp_path), before_start=_full_after(100_000))
    assert_refused(outcome, tmp_path / "scaled_train" / "part-", "-00000.parquet", "no space left")
    assert_nothing_written(*(tmp_path / f"scaled_{name}" for name in SETS))
