"""Partitioning of an archive keeps its rows and columns."""

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.telemetry import partitioning
from container_component_src.telemetry.partitioning import split_archive
from tests.helpers import TIME, telemetry, write_archive


def _read(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))])


@given(rows=st.integers(1, 60), row_group_size=st.integers(1, 30), per_file=st.integers(1, 8), batch=st.integers(1, 20))
def test_all_columns_and_rows_are_kept(
    rows: int, row_group_size: int, per_file: int, batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    frame = telemetry(rows=rows, gaps=[None if row % 3 else row / 7 for row in range(rows)])
    archive = write_archive(folder / "a.parquet", frame, row_group_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioning, "MAX_GROUP_ROWS", batch)
        split = split_archive(str(archive), str(folder / "parts"), TIME, rowgroups_per_file=per_file, copy=True)
    sizes = [min(row_group_size, rows - first) for first in range(0, rows, row_group_size)]
    groups = sum(-(-size // batch) for size in sizes)
    assert len(split.manifest.partitions) == -(-groups // per_file)
    assert split.manifest.rows == rows
    pd.testing.assert_frame_equal(_read(folder / "parts").reset_index(drop=True), pd.read_parquet(archive))
    assert split.channels == ("cabin_pressure", "fan_speed", "gaps")


@given(rows=st.integers(1, 60), row_group_size=st.integers(1, 30), per_file=st.integers(1, 8), most=st.integers(1, 20))
def test_the_partitions_of_a_view_are_whole_row_groups(
    rows: int, row_group_size: int, per_file: int, most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    archive = write_archive(folder / "a.parquet", telemetry(rows=rows), row_group_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioning, "MAX_GROUP_ROWS", most)
        split = split_archive(str(archive), str(folder / "parts"), TIME, rowgroups_per_file=per_file)
    partitions = split.manifest.partitions
    assert all(partition.rows <= per_file * most for partition in partitions)
    if min(rows, row_group_size) > per_file * most:
        assert split.manifest.archive == ""
        assert len(_read(folder / "parts")) == rows
        return
    assert split.manifest.archive == str(archive)
    assert [child.name for child in (folder / "parts").iterdir()] == ["_manifest.json"]
    assert all(before.ranges[0][1] == after.ranges[0][0] for before, after in pairwise(partitions))
    with pq.ParquetFile(archive) as file:
        for partition in partitions:
            ((first, stop),) = partition.ranges
            times = file.read_row_groups(range(first, stop), columns=[TIME])[TIME].cast("int64").to_pylist()
            assert (len(times), times[0], times[-1]) == (partition.rows, partition.start, partition.end)
        assert (partitions[0].ranges[0][0], partitions[-1].ranges[0][1]) == (0, file.num_row_groups)


@pytest.mark.parametrize(("few", "row_group_size", "copied"), [(3, 10, True), (4, 10, False), (3, 20, False)])
def test_very_many_row_groups_are_copied(
    few: int, row_group_size: int, copied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker reads the whole footer for each partition, so its cost would grow with the square of their number."""
    monkeypatch.setattr(partitioning, "FEW_GROUPS", few)
    monkeypatch.setattr(partitioning, "FOOTER_ROWS", 6)
    archive = write_archive(tmp_path / "a.parquet", telemetry(rows=4 * row_group_size), row_group_size)
    split = split_archive(str(archive), str(tmp_path / "parts"), TIME, rowgroups_per_file=2)
    assert split.manifest.archive == ("" if copied else str(archive))


def test_only_the_preprocessing_reads_the_partitions_of_an_archive(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.parquet", telemetry(rows=20))
    split = split_archive(str(archive), str(tmp_path / "parts"), TIME)
    refusal = f"{tmp_path / 'parts'}: not a dataset, but partitions of {archive}; give the dataset that run_dask_pre"
    with pytest.raises(InputError, match=refusal):
        split.load()


@pytest.mark.parametrize(("limit", "rows"), [(0, 50), (1, 10), (3, 30), (5, 50), (9, 50)])
def test_rowgroup_limit(limit: int, rows: int, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.parquet", telemetry(rows=50), row_group_size=10)
    split = split_archive(str(archive), str(tmp_path / "parts"), TIME, rowgroup_limit=limit, rowgroups_per_file=2)
    assert split.manifest.rows == rows
    assert split.manifest.notes == {"archive": str(archive), "row_groups": rows // 10}


def test_a_csv_file_is_copied_with_all_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_component_src.telemetry.csv_table.PART_BYTES", 500)
    rows = telemetry(rows=50, count=range(50))
    rows.to_csv(tmp_path / "a.csv", index=False, sep=";")
    split = split_archive(str(tmp_path / "a.csv"), str(tmp_path / "parts"), TIME, rowgroups_per_file=2)
    assert len(split.manifest.partitions) > 2
    assert split.channels == ("cabin_pressure", "fan_speed", "mode", "count")
    assert split.manifest.left_out == {"status": "text"}
    expected = rows.astype({"mode": float, "count": float, "fan_speed": float})
    pd.testing.assert_frame_equal(_read(tmp_path / "parts").reset_index(drop=True), expected, rtol=1e-6)
    limited = split_archive(str(tmp_path / "a.csv"), str(tmp_path / "two"), TIME, rowgroup_limit=2)
    assert 0 < limited.manifest.rows < 50


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_excluded_columns_are_not_copied(suffix: str, tmp_path: Path) -> None:
    frame, file = telemetry(rows=20, fan_counter=range(20)), tmp_path / f"a{suffix}"
    frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    split = split_archive(str(file), str(tmp_path / "parts"), TIME, exclude=("fan_*", "status"), copy=True)
    assert "cabin_pressure" in split.channels
    assert not [name for name in split.channels if name.startswith("fan_")]
    excluded = "excluded by exclude_channels"
    reasons = {name: split.manifest.left_out[name] for name in ("fan_speed", "fan_counter", "status")}
    assert reasons == {"fan_speed": excluded, "fan_counter": excluded, "status": "text"}
    assert {*frame.columns} - {*_read(tmp_path / "parts").columns} == {"fan_speed", "fan_counter"}
    assert split.load().values.shape == (20, len(split.channels))


@pytest.mark.parametrize(("copy", "files"), [(True, 3), (False, 1)])
def test_empty_row_groups_are_skipped(copy: bool, files: int, tmp_path: Path) -> None:
    table = pq.read_table(write_archive(tmp_path / "a.parquet", telemetry(rows=30)))
    with pq.ParquetWriter(tmp_path / "b.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 10), table.slice(0, 0), table.slice(10)):
            writer.write_table(part)
    split = split_archive(str(tmp_path / "b.parquet"), str(tmp_path / "parts"), TIME, rowgroups_per_file=1, copy=copy)
    assert [partition.rows for partition in split.manifest.partitions] == [10, 20]
    assert len(list((tmp_path / "parts").iterdir())) == files
