"""Preprocessing: the same rows however the telemetry is cut, and a sample that is a property of the data."""

import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.dask_preprocessor import preprocessor
from container_component_src.dask_preprocessor.preprocessor import PartitionTask, preprocess, preprocess_partition
from container_component_src.errors import InputError
from container_component_src.telemetry.archive import list_archives
from container_component_src.telemetry.dataset import Frame
from container_component_src.telemetry.dataset_writer import write_partition
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.partitioning import split_archive
from tests.helpers import TIME, telemetry, write_archive

CHANNELS = ("cabin_pressure", "fan_speed")
ROWS = telemetry(rows=200)


def _task(source: Path, target: Path, sample_frac: float) -> PartitionTask:
    return PartitionTask(str(source), str(target), "", TIME, CHANNELS, sample_frac)


def _sampled(folder: Path, sample_frac: float, cuts: list[int]) -> pd.DataFrame:
    """What the workers write of `ROWS`, cut into files."""
    bounds = [0, *sorted({*cuts}), len(ROWS)]
    parts = []
    for index, (first, last) in enumerate(pairwise(bounds)):
        source = write_archive(folder / f"{index}.parquet", ROWS.iloc[first:last])
        result = preprocess_partition(_task(source, folder / "out" / f"{index}.parquet", sample_frac))
        if result.partition is not None:
            parts.append(pd.read_parquet(folder / "out" / result.partition.file))
    return pd.concat(parts) if parts else pd.DataFrame()


@given(cuts=st.lists(st.integers(1, 199), max_size=6), fraction=st.sampled_from([0.1, 0.5, 1.0]))
def test_the_sample_does_not_depend_on_the_files(
    cuts: list[int], fraction: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = _sampled(tmp_path_factory.mktemp("whole"), fraction, [])
    pd.testing.assert_frame_equal(_sampled(tmp_path_factory.mktemp("cut"), fraction, cuts), whole)
    pd.testing.assert_frame_equal(whole, ROWS.set_index(TIME)[list(CHANNELS)].astype(np.float32).loc[whole.index])


def test_samples_are_nested_and_of_the_size_asked_for(tmp_path: Path) -> None:
    fractions = (0.1, 0.2, 0.5, 0.9, 1.0)
    sources = write_archive(tmp_path / "a.parquet", telemetry(rows=5000))
    indices = []
    for fraction in fractions:
        result = preprocess_partition(_task(sources, tmp_path / f"out{fraction}" / "a", fraction))
        assert result.partition is not None
        indices.append(pd.read_parquet(tmp_path / f"out{fraction}" / result.partition.file).index)
    for fraction, index in zip(fractions, indices, strict=True):
        assert len(index) / 5000 == pytest.approx(fraction, abs=0.03)
    for smaller, larger in pairwise(indices):
        assert smaller.isin(larger).all()


def test_missing_values_are_counted_in_the_sample_only(tmp_path: Path) -> None:
    frame = telemetry(rows=100)
    frame["fan_speed"] = np.inf
    source = write_archive(tmp_path / "a.parquet", frame)
    result = preprocess_partition(_task(source, tmp_path / "out" / "a", 0.5))
    assert result.partition is not None
    assert result.missing == {"fan_speed": result.partition.rows}
    assert preprocess_partition(_task(source, tmp_path / "out", 1e-9)).partition is None


def test_whole_numbers_and_truth_values_are_channels(dask_client: Client, tmp_path: Path) -> None:
    frame = telemetry(rows=100, count=[None, *range(1, 100)], valve=[True, False] * 50)
    source = write_archive(tmp_path / "a.parquet", frame.astype({"count": "Int32"}), row_group_size=30)
    split_archive(str(source), str(tmp_path / "split"), TIME, rowgroups_per_file=1)
    dataset = preprocess([str(tmp_path / "split")], str(tmp_path / "out"), TIME, 1.0, "", dask_client)
    assert dataset.channels == ("cabin_pressure", "fan_speed", "count", "valve")
    assert dataset.manifest.missing == {"count": 1}
    assert dataset.manifest.left_out == {"mode": "text", "status": "text"}
    values = dataset.load().values[:, 2:]
    np.testing.assert_array_equal(values, np.column_stack([[np.nan, *range(1, 100)], [1, 0] * 50]))


def test_rounded_numbers_are_named_for_each_format(
    dask_client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = telemetry(rows=20, count=-(2**24) - 1, exact=2**24, fraction=2.0**30 + 0.5)
    source = write_archive(tmp_path / "a.parquet", frame)
    frame.assign(**{TIME: frame[TIME] + pd.Timedelta("1D")}).to_csv(tmp_path / "b.csv", index=False)
    channels = {"mode": frame["mode"].astype(int)}  # a CSV file does not say that these are text
    write_archive(source, frame.assign(**channels))
    for name in ("a.parquet", "b.csv"):
        split_archive(str(tmp_path / name), str(tmp_path / name[0]), TIME)
        caplog.clear()
        preprocess([str(tmp_path / name[0])], str(tmp_path / "out"), TIME, 1.0, "", dask_client)
        (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert warning.endswith("rounds whole numbers beyond 16,777,216, as in 'count' (up to 16,777,217)")


def test_overlaps_name_the_archives(dask_client: Client, tmp_path: Path) -> None:
    for name, start in (("2022", "2023-01-01"), ("2023", "2023-01-01 00:59")):
        write_archive(tmp_path / f"{name}.parquet", telemetry(rows=60, start=start))
        split_archive(str(tmp_path / f"{name}.parquet"), str(tmp_path / name), TIME)
    with pytest.raises(InputError, match=r"/2023.parquet: starts at .* but .*/2022.parquet ends at"):
        _run(dask_client, [tmp_path / "2022", tmp_path / "2023"], tmp_path / "out")


def test_files_that_a_split_did_not_write_are_refused(dask_client: Client, tmp_path: Path) -> None:
    source = write_archive(tmp_path / "a.parquet", telemetry(rows=60), row_group_size=20)
    split = split_archive(str(source), str(tmp_path / "split"), TIME, rowgroups_per_file=1, copy=True)
    first, second, _ = (tmp_path / "split" / partition.file for partition in split.manifest.partitions)
    second.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=f"{second}: not the file that the manifest describes"):
        _run(dask_client, [tmp_path / "split"], tmp_path / "out")


@pytest.mark.parametrize("change", [{"start": "2023-02-01"}, {"rows": 20}, {"rows": 40}, {"seed": 1}, {"more": 1.0}])
def test_an_archive_that_changed_after_its_split_is_refused(
    change: dict[str, Any], dask_client: Client, tmp_path: Path
) -> None:
    source = write_archive(tmp_path / "a.parquet", telemetry(rows=60), row_group_size=20)
    split_archive(str(source), str(tmp_path / "split"), TIME, rowgroups_per_file=1)
    write_archive(source, telemetry(**{"rows": 60, **change}), row_group_size=20)
    with pytest.raises(InputError, match=f"{source}: changed after {tmp_path / 'split'} was made; run the step"):
        _run(dask_client, [tmp_path / "split"], tmp_path / "out")
    source.unlink()
    with pytest.raises(InputError, match=f"{source}: no such file"):
        _run(dask_client, [tmp_path / "split"], tmp_path / "out")


@pytest.mark.parametrize("ranges", [(-1, 1), (2, 10**30), (2, 2), (3, 2), (10**30, 10**31)])
def test_row_groups_that_an_archive_does_not_have_are_refused(ranges: tuple[int, int], tmp_path: Path) -> None:
    source = write_archive(tmp_path / "a.parquet", telemetry(rows=60), row_group_size=20)
    start = int(telemetry(rows=60)[TIME].astype("int64")[0])
    expected = Partition(file="a.parquet", rows=60, start=start, end=start + 59 * 60 * 10**9, ranges=(ranges,))
    with pytest.raises(InputError, match=f"{source}: not the file that the manifest describes"):
        preprocess_partition(replace(_task(source, tmp_path / "out", 1.0), expected=expected))


def test_views_and_copies_of_archives_make_the_same_dataset(dask_client: Client, tmp_path: Path) -> None:
    frame = telemetry(rows=90).assign(**{"temp*": range(90), "temp_out": range(90)})
    frame.loc[40, "cabin_pressure"] = np.nan
    source = write_archive(tmp_path / "a.parquet", frame, row_group_size=20)
    found = {}
    for name, copy in (("view", False), ("copy", True)):
        split_archive(str(source), str(tmp_path / name), TIME, 0, 2, ("temp[*]", "fan_speed"), copy)
        made = preprocess([str(tmp_path / name)], str(tmp_path / f"{name}d"), TIME, 0.5, "", dask_client)
        partitions = [partition.model_dump(exclude={"file"}) for partition in made.manifest.partitions]
        found[name] = (made.channels, made.manifest.left_out, made.manifest.missing, partitions, vars(made.load()))
    assert found["view"][0] == ("cabin_pressure", "temp_out")
    np.testing.assert_equal(found["view"], found["copy"])


def _run(client: Client, paths: list[Path], target: Path, sample_frac: float = 1.0) -> Frame:
    return preprocess([str(path) for path in paths], str(target), TIME, sample_frac, "", client).load()


def test_archives_may_be_given_in_any_order(dask_client: Client, tmp_path: Path) -> None:
    folders = []
    for year, seed in (("2023", 1), ("2021", 2), ("2022", 3)):
        archive = write_archive(tmp_path / f"{year}.parquet", telemetry(rows=100, start=f"{year}-01-01", seed=seed))
        split_archive(str(archive), str(tmp_path / year), TIME, rowgroups_per_file=1)
        folders.append(tmp_path / year)
    first = _run(dask_client, folders, tmp_path / "first")
    assert (np.diff(first.timestamps) > 0).all()
    second = _run(dask_client, folders[::-1], tmp_path / "second")
    np.testing.assert_array_equal(first.timestamps, second.timestamps)
    np.testing.assert_array_equal(first.values, second.values)


def test_monthly_files_that_are_written_in_different_ways(dask_client: Client, tmp_path: Path) -> None:
    ways: dict[str, dict[str, Any]] = {
        "2023-01": {},
        "2023-02": {"sep": ";", "encoding": "utf-8-sig", "lineterminator": "\r\n"},
        "2023-08": {"quoting": 1, "columns": ["valve", "fan_speed", TIME, "cabin_pressure"]},  # months are missing
        "2023-09": {"na_rep": "NaN", "sep": "\t"},
    }
    months = []
    for seed, (month, way) in enumerate(ways.items()):
        frame = telemetry(rows=80 * 60, start=f"{month}-01", seed=seed, valve=seed % 2).drop(columns=["mode", "status"])
        frame = frame.sample(90, random_state=seed).sort_index()  # a row now and then
        if month == "2023-09":
            frame["fan_speed"] = np.full(90, np.nan, np.float32)
        months.append(frame)
        frame.to_csv(tmp_path / f"{month}.csv", index=False, **way)
    archives = list_archives(str(tmp_path), TIME)
    splits = [split_archive(item.uri, f"{item.uri}.split", TIME).location.uri for item in archives]
    found = preprocess(splits, str(tmp_path / "out"), TIME, 1.0, "", dask_client)
    expected = pd.concat(months, ignore_index=True)
    assert found.channels == ("cabin_pressure", "fan_speed", "valve")
    assert found.manifest.missing == {"fan_speed": 90}
    assert found.load().timestamps.tolist() == expected[TIME].astype(np.int64).tolist()
    np.testing.assert_allclose(found.load().values, expected[list(found.channels)], rtol=1e-6)


def test_the_scheduler_knows_a_part_of_the_partitions_at_once(
    dask_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    mapped = dask_client.map
    monkeypatch.setattr(preprocessor, "TASKS_AT_ONCE", 3)

    def counted(function: Any, tasks: list[Any], **options: Any) -> Any:
        known.append(len(tasks))
        return mapped(function, tasks, **options)

    monkeypatch.setattr(dask_client, "map", counted)
    paths = [
        write_archive(tmp_path / f"{index}.parquet", telemetry(rows=3, start=f"2023-01-{index + 1:02}"))
        for index in range(8)
    ]
    assert len(_run(dask_client, paths, tmp_path / "out")) == 24
    assert known == [3, 3, 2]


def test_files_without_sampled_rows_have_no_partition(dask_client: Client, tmp_path: Path) -> None:
    paths = [
        write_archive(tmp_path / f"{index}.parquet", telemetry(rows=3, start=f"2023-01-{index + 1:02}"))
        for index in range(20)
    ]
    frame = _run(dask_client, paths, tmp_path / "out", 0.2)
    files = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
    assert 0 < len(files) < 20
    assert 0 < len(frame) < 60


def test_an_error_in_one_file_cancels_the_others(dask_client: Client, tmp_path: Path) -> None:
    paths = [
        write_archive(tmp_path / f"{index}.parquet", telemetry(rows=2000, start=f"20{index:02}-01-01"))
        for index in range(40)
    ]
    paths[5].write_bytes(b"damaged")
    with pytest.raises(InputError, match=str(paths[5])):
        _run(dask_client, paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_running_task_does_not_recreate_its_partition_after_a_failure(
    dask_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, written = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Partition:
        started.set()
        time.sleep(0.3)
        partition = write_partition(*arguments)
        written.set()
        return partition

    def after_start(*arguments: Any) -> NoReturn:
        started.wait(30)
        raise InputError("b.parquet: damaged")

    monkeypatch.setattr(preprocessor, "write_partition", slowly)
    paths = [write_archive(tmp_path / f"{name}.parquet", telemetry(rows=10)) for name in ("a", "b")]
    monkeypatch.setattr(
        preprocessor, "check_columns", lambda uri, *rest: after_start() if uri.endswith("b.parquet") else None
    )
    with pytest.raises(InputError, match=r"b\.parquet"):
        _run(dask_client, paths, tmp_path / "out")
    assert written.wait(30)
    assert not (tmp_path / "out").exists()
