"""Rows from stdin or a file, one JSON object a line."""

import asyncio
import os
import stat
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from container_component_src.errors import InputError
from container_component_src.files import check_name
from container_component_src.steps.streaming import STD
from container_component_src.stream.marks import Mark
from container_component_src.stream.source import Message, Source
from container_component_src.values import in_home

_PIECE = 2**16  # bytes
_POLL = 0.1  # seconds between two looks at the end of a file
_OTHER_FILE = "start anew with another --state-file; rows of many files can go on in one stream by stdin"


class LineSplitter:
    """Divides the pieces of a file into lines, of which no more than the longest allowed one is kept.

    Args:
        most: Bytes of the longest line.
        position: Bytes of the file before the first piece.
    """

    def __init__(self, most: int, position: int = 0) -> None:
        self._most = most
        self._rest = b""
        self._skipped = False  # the beginning of the line was too long and is gone
        self._position = position

    def split(self, piece: bytes) -> Iterator[tuple[bytes | None, int]]:
        """Yield the lines that a piece completes, None for one that is too long, and the bytes up to their end."""
        self._position += len(piece)
        *lines, rest = (self._rest + piece).split(b"\n")
        end = self._position - len(rest) - sum(len(line) + 1 for line in lines)
        for line in lines:
            end += len(line) + 1
            yield (None if self._skipped or len(line) > self._most else line), end
            self._skipped = False
        self._skipped |= len(rest) > self._most
        self._rest = b"" if self._skipped else rest

    def last(self) -> Iterator[tuple[bytes | None, int]]:
        """Yield the line at the end of the file, if it does not end in a line break."""
        if self._rest or self._skipped:
            yield (None if self._skipped else self._rest), self._position
            self._rest, self._skipped = b"", False


class LineSource(Source):
    """The lines of stdin, a file or a named pipe; empty ones are left out.

    Args:
        name: The path, or - for stdin.
        most_bytes: Length of the longest line.
        follow: Whether to wait for further lines at the end of a file.
    """

    def __init__(self, name: str, most_bytes: int, follow: bool = False) -> None:
        self._name = name
        self._most_bytes = most_bytes
        self._follow = follow
        self._file = -1
        self._lines = self._bytes = 0  # processed
        self._checksum: int | None = None  # of what is before the first row, if there was a state
        self._is_named = False  # whether it is a file, which can be read from any place

    def resume(self, offsets: Mapping[str, int]) -> None:
        """Go on after the processed messages."""
        self._lines, self._bytes = offsets.get("lines", 0), offsets.get("bytes", 0)
        self._checksum = offsets.get("checksum")

    @property
    def offsets(self) -> Mapping[str, int]:
        """Where to go on after the processed messages."""
        offsets = {"lines": self._lines, "bytes": self._bytes}
        if self._is_named:
            offsets["checksum"] = Mark.at(self._file, self._bytes).checksum
        return offsets

    async def __aenter__(self) -> Self:
        if self._name == STD:
            self._file = 0
        else:
            path = Path(in_home(self._name))
            check_name(str(path))
            try:
                self._file = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise InputError(f"{path}: {error.strerror}", fix="check --input") from error
        status = os.fstat(self._file)
        self._regular = stat.S_ISREG(status.st_mode)
        self._is_named = self._regular and self._name != STD
        if self._is_named:
            if self._checksum is not None and not Mark(position=self._bytes, checksum=self._checksum).fits(self._file):
                os.close(self._file)
                raise InputError(f"{self._name}: not the file that the state speaks of", fix=_OTHER_FILE)
            os.lseek(self._file, self._bytes, os.SEEK_SET)
        else:
            self._lines = self._bytes = 0  # whoever writes begins anew
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file > 0:
            os.close(self._file)

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """Iterate over the messages; see `Source`."""
        splitter, number = LineSplitter(self._most_bytes, self._bytes), self._lines
        ended = False
        while not ended:
            if not self._regular:
                await _readable(self._file)
            piece = os.read(self._file, _PIECE)
            if not piece and self._follow and self._regular:
                self._check_same_file()
                await asyncio.sleep(_POLL)
                continue
            ended = not piece
            received, found = time.monotonic(), []
            for text, end in splitter.last() if ended else splitter.split(piece):
                number += 1
                if text is None or text.strip():
                    found.append(Message(text, f"line {number}", received, (number, end)))
            if found:
                yield found

    def _check_same_file(self) -> None:
        """Check that the followed file has not been cut or replaced: its new rows would never be seen.

        Raises:
            InputError: It has.
        """
        opened = os.fstat(self._file)
        try:
            named = Path(in_home(self._name)).stat()
        except FileNotFoundError:
            return  # it has been moved away, and the next one may come
        if opened.st_size < os.lseek(self._file, 0, os.SEEK_CUR) or not os.path.samestat(opened, named):
            raise InputError(f"{self._name}: cut or replaced while it was followed", fix=_OTHER_FILE)

    def processed(self, message: Message) -> None:
        """Note that a message is part of the state that is written next."""
        self._lines, self._bytes = message.token


async def _readable(file: int) -> None:
    """Wait until a pipe, a socket or a terminal can be read."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)
