"""Places in files, by which a later process knows that a file is still the same."""

import os
import zlib

from container_component_src.values import Frozen

_COMPARED = 4096  # bytes before a place


class Mark(Frozen):
    """A place in a file, and a checksum of what is before it."""

    position: int  # bytes
    checksum: int

    @classmethod
    def at(cls, file: int, position: int) -> "Mark":
        """Return the mark at a position of an open file."""
        return cls(position=position, checksum=_checksum(file, position))

    def fits(self, file: int) -> bool:
        """Return whether an open file has the mark: it may have become longer, but has not been replaced."""
        return os.fstat(file).st_size >= self.position and _checksum(file, self.position) == self.checksum


def _checksum(file: int, position: int) -> int:
    count = min(position, _COMPARED)
    return zlib.crc32(os.pread(file, count, position - count))
