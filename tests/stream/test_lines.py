import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.stream.lines import LineSource, LineSplitter
from container_component_src.stream.source import Message
from tests.stream.streams import pieces

MOST = 5


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"bcdef", b"\r\n"]), max_size=30), st.lists(st.integers(0, 90), max_size=8)
)
def test_lines_do_not_depend_on_the_pieces(parts: list[bytes], cuts: list[int]) -> None:
    content = b"".join(parts)
    expected: list[tuple[bytes | None, int]] = []
    *whole, rest = content.split(b"\n")
    for text in [*whole, rest] if rest else whole:
        end = (expected[-1][1] if expected else 0) + len(text) + 1
        expected.append((text if len(text) <= MOST else None, min(end, len(content))))
    splitter = LineSplitter(MOST)
    found: list[tuple[bytes | None, int]] = []
    for piece in pieces([content[i : i + 1] for i in range(len(content))], [min(cut, len(content)) for cut in cuts]):
        found += splitter.split(b"".join(piece))
    assert found + list(splitter.last()) == expected


def test_an_endless_line_takes_no_memory() -> None:
    splitter = LineSplitter(MOST)
    for _ in range(100):
        assert list(splitter.split(b"x" * 1000)) == []
        assert len(splitter._rest) <= MOST
    assert list(splitter.split(b"\nok\n")) == [(None, 100_001), (b"ok", 100_004)]


async def read(source: LineSource, count: int) -> list[Message]:
    """The first messages of a source, which are processed."""
    found: list[Message] = []
    async with source:
        async for messages in source.messages():
            for message in messages:
                source.processed(message)
                found.append(message)
                if len(found) == count:
                    return found
    return found


async def offsets_after(source: LineSource, content: bytes) -> Mapping[str, int]:
    """The offsets of a source after the line of a content."""
    async with source:
        async for messages in source.messages():
            for message in messages:
                source.processed(message)
                if message.text == content:
                    return source.offsets
    raise AssertionError(content)


def texts(messages: Sequence[Message]) -> list[tuple[bytes | None, str]]:
    return [(message.text, message.place) for message in messages]


def test_a_file_goes_on_behind_the_processed_lines(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"one\n\ntwo\nthree")
    assert texts(asyncio.run(read(LineSource(str(file), 100), 2))) == [(b"one", "line 1"), (b"two", "line 3")]
    following = LineSource(str(file), 100)
    following.resume(asyncio.run(offsets_after(LineSource(str(file), 100), b"two")))
    assert texts(asyncio.run(read(following, 9))) == [(b"three", "line 4")]


@pytest.mark.parametrize("content", [b"one\n", b"one\nTWO\nthree\n"], ids=["shorter", "as long"])
def test_another_file_of_the_same_name_is_not_gone_on_with(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"one\ntwo\nthree\n")
    source = LineSource(str(file), 100)
    source.resume(asyncio.run(offsets_after(LineSource(str(file), 100), b"two")))
    file.write_bytes(content)
    with pytest.raises(InputError, match="rows: not the file that the state speaks of"):
        asyncio.run(read(source, 1))


def cut(file: Path) -> None:
    file.write_bytes(b"new\n")


def replaced(file: Path) -> None:
    file.rename(f"{file}.1")
    file.write_bytes(b"one\ntwo\n")


@pytest.mark.parametrize("change", [cut, replaced])
def test_a_followed_file_that_is_cut_or_replaced(change: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"one\ntwo\n")

    async def follow() -> None:
        async with LineSource(str(file), 100, follow=True) as source:
            messages = source.messages()
            assert len(await anext(messages)) == 2
            change(file)
            await anext(messages)

    with pytest.raises(InputError, match="rows: cut or replaced while it was followed"):
        asyncio.run(follow())


def test_a_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"one\ntw")

    async def follow() -> list[Message]:
        source = LineSource(str(file), 100, follow=True)
        reading = asyncio.create_task(read(source, 2))
        while not dict(source.offsets)["lines"]:
            await asyncio.sleep(0.01)
        with file.open("ab") as more:
            more.write(b"o\n")
        return await reading

    assert texts(asyncio.run(follow())) == [(b"one", "line 1"), (b"two", "line 2")]


def test_a_pipe_is_read_as_it_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def talk() -> list[Message]:
        opened = asyncio.to_thread(pipe.open, "wb", 0)
        source = LineSource(str(pipe), 100)
        writer, held = await asyncio.gather(opened, asyncio.to_thread(os.open, pipe, os.O_RDONLY))
        reading = asyncio.create_task(read(source, 9))
        for text in (b"one\n", b"tw", b"o\n"):
            writer.write(text)
            await asyncio.sleep(0)
        writer.close()
        found = await reading
        os.close(held)
        return found

    assert [message.text for message in asyncio.run(talk())] == [b"one", b"two"]


def test_a_missing_file() -> None:
    with pytest.raises(InputError, match="nowhere: No such file"):
        asyncio.run(read(LineSource("/nowhere", 100), 1))
