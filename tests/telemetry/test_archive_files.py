"""Search for archives by their names: what is taken, what is named as left out, and what is refused."""

import logging
from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.telemetry.archive_files import archive_name, find_archives


def _names(folder: Path, *names: str, reports: str = "") -> list[str]:
    for name in names:
        (folder / name).touch()
    return [file.name for file in find_archives(str(folder), ("", reports))]


@pytest.mark.parametrize(
    "names",
    [
        ["2022.parquet", "2023.PARQUET"],
        ["2022.csv", "2023.CSV"],
        [" a b.parquet", "%20#?.parquet", "日本 é.parquet"],
    ],
)
def test_archives_by_their_names(names: list[str], tmp_path: Path) -> None:
    assert _names(tmp_path, *names) == names
    assert [file.name for file in find_archives(str(tmp_path / names[0]))] == [names[0]]


@pytest.mark.parametrize(
    ("other", "level"),
    [("2022.pq", "WARNING"), ("2022.csv.gz", "WARNING"), ("._2023.parquet", "INFO"), ("_SUCCESS", "INFO")],
)
def test_files_that_are_left_out_are_named(
    other: str, level: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert _names(tmp_path, "2023.parquet", other) == ["2023.parquet"]
    (record,) = caplog.records
    assert (record.levelname, other in record.message) == (level, True)


def test_many_names_are_not_all_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _names(tmp_path, "2023.parquet", *(f"{number:02}.txt" for number in range(12)))
    assert "00.txt" in caplog.text
    assert "09.txt and 2 more" in caplog.text


def test_mixed_formats_are_refused_but_reports_may_lie_beside(tmp_path: Path) -> None:
    reports = tmp_path / "reports.csv"
    with pytest.raises(InputError, match=r"different formats \(2022.parquet and reports.csv\)"):
        _names(tmp_path, "2022.parquet", "2023.parquet", "reports.csv")
    assert _names(tmp_path, reports=f"file://{reports}") == ["2022.parquet", "2023.parquet"]


def test_a_folder_that_spark_or_dask_wrote_is_read_under_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "2023.parquet"
    folder.mkdir()
    assert _names(folder, "part.0.parquet", "_SUCCESS") == ["part.0.parquet"]


def test_no_archives(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no archives .* found; put some"):
        _names(tmp_path)
    with pytest.raises(InputError, match=r"found, only notes.txt, year=2023; put some there"):
        _names(tmp_path, "notes.txt", "year=2023")
    with pytest.raises(InputError, match=r"found, only 2023.csv.gz, notes.txt, year=2023; unpack these, or"):
        _names(tmp_path, "2023.csv.gz")


def test_archive_name() -> None:
    names = ["a b.parquet", "2023.csv", "2023.CSV", "x.parquet.csv"]
    assert [archive_name(storage.resolve(f"/{name}")) for name in names] == ["a b", "2023", "2023.CSV", "x.parquet"]
