"""Small files that somebody else wrote, and places for output files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from container_component_src.errors import InputError
from container_component_src.files import check_output, read_regular, read_text

Make = Callable[[Path], object]
NOT_REGULAR: dict[str, Make] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "full device": lambda path: path.symlink_to("/dev/full"),
}


@pytest.mark.parametrize("kind", NOT_REGULAR)
def test_what_is_not_a_regular_file_is_not_read(kind: str, tmp_path: Path) -> None:
    NOT_REGULAR[kind](tmp_path / "x")
    with pytest.raises(InputError, match=r"x: not a regular file"):
        read_regular(tmp_path / "x")


def test_size_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == read_regular(tmp_path / "x", None) == b"12345"
    with pytest.raises(InputError, match="x: larger than 4 bytes"):
        read_regular(tmp_path / "x", 4)


@pytest.mark.parametrize("name", ["absent", "file/below", "nul\0"])
def test_absent_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"no such file|no NUL"):
        read_regular(tmp_path / name)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\xc3\xbc\r\n")
    assert read_text(tmp_path / "x") == "aü\r\n"
    (tmp_path / "x").write_bytes(b"a\xfc")
    with pytest.raises(InputError, match="x: byte 1 is not UTF-8"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("kind", [kind for kind in NOT_REGULAR if kind != "folder"])
@pytest.mark.parametrize("folder", [False, True])
def test_what_is_neither_file_nor_folder_is_no_output(kind: str, folder: bool, tmp_path: Path) -> None:
    NOT_REGULAR[kind](tmp_path / "x")
    with pytest.raises(InputError, match=r"x: the output is a .*, but this is a device or pipe"):
        check_output(tmp_path / "x", folder)


def test_files_and_folders_as_outputs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_output(tmp_path / "file")
    check_output(tmp_path, folder=True)
    for folder in (False, True):
        check_output(tmp_path / "absent" / "x", folder)
        with pytest.raises(InputError, match="a folder of this path is a file"):
            check_output(tmp_path / "file" / "x", folder)
        with pytest.raises(InputError, match="no NUL"):
            check_output(tmp_path / "nul\0", folder)
    with pytest.raises(InputError, match="the output is a file, but this is a folder"):
        check_output(tmp_path)
    with pytest.raises(InputError, match="the output is a folder, but this is a file"):
        check_output(tmp_path / "file", folder=True)
