"""The source of a view, read without the libraries that read datasets."""

from pathlib import Path

import pytest

from container_component_src import storage
from container_component_src.telemetry.views import MANIFEST_NAME, source_of


@pytest.mark.parametrize(
    ("content", "source"),
    [
        ('{"source": "s3://bucket/d"}', "s3://bucket/d"),
        ('{"source": ""}', ""),
        ('{"channels": []}', ""),  # of an older version
        ("[1]", ""),
        ("{", ""),
        ("", ""),  # unfinished
    ],
)
def test_only_a_view_has_a_source(content: str, source: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text(content)
    assert source_of(storage.resolve(str(tmp_path))) == source


def test_neither_a_file_nor_an_absent_folder_has_a_source(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "absent"):
        assert source_of(storage.resolve(str(tmp_path / name))) == ""
