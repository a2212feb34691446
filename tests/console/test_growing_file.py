from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.console import growing_file
from container_component_src.console.growing_file import GrowingFile, NewLines
from container_component_src.storage import Location, resolve


class Counting:
    """A file system that counts the bytes that are read."""

    protocol = "file"

    def __init__(self, location: Location) -> None:
        self._fs = location.fs
        self.bytes = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._fs, name)

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        content: bytes = self._fs.cat_file(path, start=start, end=end)
        self.bytes += len(content)
        return content


def test_only_new_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"a" * 100_000 + b"\nb\n")
    location = resolve(str(path))
    fs = Counting(location)
    file = GrowingFile(Location(fs, location.path))
    assert file.poll() == NewLines([b"a" * 100_000, b"b"])
    read = fs.bytes
    assert file.poll() == NewLines([])
    assert fs.bytes == read
    with path.open("ab") as appended:
        appended.write(b"c\n")
    assert file.poll() == NewLines([b"c"])
    assert fs.bytes - read < 100


def test_a_file_may_appear_later(tmp_path: Path) -> None:
    file = GrowingFile(resolve(str(tmp_path / "events")))
    assert file.poll() == NewLines([])
    (tmp_path / "events").write_bytes(b"a\n")
    assert file.poll() == NewLines([b"a"])


@pytest.mark.parametrize("content", [b"c\n", b"other\nlines, more than before\n"], ids=["shorter", "longer"])
def test_a_file_that_is_replaced_is_read_from_its_start(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"a\nb\n")
    file = GrowingFile(resolve(str(path)))
    file.poll()
    path.write_bytes(content)
    assert file.poll() == NewLines(content.split(b"\n")[:-1], restarted=True)
    path.unlink()
    assert file.poll() == NewLines([], restarted=True)
    assert file.poll() == NewLines([])


@given(st.lists(st.binary(min_size=1, max_size=20).map(lambda text: text.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_do_not_depend_on_how_they_are_written(lines: list[bytes], data: st.DataObject) -> None:
    import tempfile

    content = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing_file, "_PIECE", 7)
        path = Path(folder) / "events"
        file = GrowingFile(resolve(str(path)))
        found = []
        for start, stop in zip([0, *cuts], [*cuts, len(content)], strict=True):
            with path.open("ab") as appended:
                appended.write(content[start:stop])
            new = file.poll()
            assert not new.restarted
            found += new.lines
    assert found == lines


def test_a_line_without_end_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_file, "_PIECE", 1000)
    monkeypatch.setattr(growing_file, "LONGEST_LINE", 10)
    path = tmp_path / "events"
    path.write_bytes(b"a" * 100_000)
    file = GrowingFile(resolve(str(path)))
    assert file.poll() == NewLines([])
    assert len(file._partial) == 10
    path.write_bytes(path.read_bytes() + b"\nb\n")
    assert file.poll().lines[1:] == [b"b"]


def test_an_object_that_is_written_anew_with_more_lines_is_read_on(bucket: str) -> None:
    location = resolve(f"{bucket}/events")
    location.write_bytes(b"a\nb\n")
    file = GrowingFile(resolve(f"{bucket}/events"))
    assert file.poll() == NewLines([b"a", b"b"])
    assert file.poll() == NewLines([])
    location.write_bytes(b"a\nb\nc\n")
    assert file.poll() == NewLines([b"c"])
