"""New lines of a file that another program appends to, or replaces by a longer one, as it has to in an object store."""

from dataclasses import dataclass, field
from typing import Any

from container_component_src.storage import Location

_PIECE = 2**22  # bytes of a request
_OVERLAP = 64  # bytes that are read again, to see whether the file is still the same
LONGEST_LINE = 2**20  # bytes; the rest of a longer line is left out


@dataclass(frozen=True)
class NewLines:
    """What has been added to a file.

    Attributes:
        lines: Complete lines, without their ends.
        restarted: Whether the file has been replaced, so that what was read before no longer counts.
    """

    lines: list[bytes]
    restarted: bool = False


@dataclass
class GrowingFile:
    """Reads only what is new.

    Attributes:
        location: The file, which need not exist yet.
    """

    location: Location
    _version: tuple[Any, ...] | None = None
    _offset: int = 0
    _last: bytes = field(default=b"", repr=False)  # bytes before the offset
    _partial: bytes = field(default=b"", repr=False)  # a line that has no end yet

    def poll(self) -> NewLines:
        """Return the lines that have been added since the last call.

        Raises:
            OSError: The file cannot be read.
            PipelineError: The store does not answer or refuses to.
        """
        try:
            info = self.location.fs.info(self.location.path)
        except FileNotFoundError:
            return self._restart() if self._version else NewLines([])
        version = tuple(info.get(name) for name in ("size", "ETag", "mtime", "ino"))
        if version == self._version:
            return NewLines([])
        same = info["size"] >= self._offset and self._read(self._offset - len(self._last), self._offset) == self._last
        restarted = NewLines([]) if same else self._restart()
        lines: list[bytes] = []
        while self._offset < info["size"]:
            piece = self._read(self._offset, min(info["size"], self._offset + _PIECE))
            if not piece:  # it has become shorter meanwhile
                break
            self._offset += len(piece)
            self._last = (self._last + piece)[-_OVERLAP:]
            *complete, rest = (self._partial + piece).split(b"\n")
            self._partial = rest[:LONGEST_LINE]
            lines += complete
        self._version = version
        return NewLines(lines, restarted.restarted)

    def _read(self, start: int, stop: int) -> bytes:
        if start == stop:
            return b""
        return bytes(self.location.fs.cat_file(self.location.path, start=start, end=stop))

    def _restart(self) -> NewLines:
        self._version, self._offset, self._last, self._partial = None, 0, b"", b""
        return NewLines([], restarted=True)
