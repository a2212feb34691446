"""Small files of this machine: configuration, tokens, certificates and the like, which somebody else wrote.

A pipe or an endless device in the place of such a file would make a program wait, or fill its memory.
"""

import stat
from itertools import islice
from pathlib import Path

from container_component_src.errors import InputError

SMALL_BYTES = 64 * 2**20
_PIECE = 2**20
_OTHER = "name a new file or folder as output"


def read_regular(path: Path, limit: int | None = SMALL_BYTES) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file, or a link to it.
        limit: Most bytes that it may have; None for any number.

    Raises:
        InputError: There is no such file, it is not a regular one, or it is too large.
        OSError: The file cannot be read.
    """
    check_name(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file", fix="name a file")
        with path.open("rb") as file:
            # In pieces: one call would reserve memory for as many bytes as it may return.
            pieces = iter(lambda: file.read(_PIECE), b"")
            content = b"".join(pieces if limit is None else islice(pieces, limit // _PIECE + 1))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file", fix="check the path") from error
    check_size(str(path), len(content), limit)
    return content


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8, without a byte order mark.

    Raises:
        InputError: See `read_regular`, or it is not UTF-8.
        OSError: The file cannot be read.
    """
    try:
        return read_regular(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8", fix="save the file as UTF-8") from error


def check_output(path: Path, folder: bool = False) -> None:
    """Check that a file or folder can be written under a name, before the work starts whose result it gets.

    Raises:
        InputError: Something of another kind, such as a device, has the name, or a parent folder is not a folder.
        OSError: The name is too long, or a link leads in a circle.
    """
    check_name(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise InputError(f"{path}: a folder of this path is a file", fix=_OTHER) from error
    if not (stat.S_ISDIR if folder else stat.S_ISREG)(mode):
        found = "a file" if stat.S_ISREG(mode) else "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise InputError(f"{path}: the output is a {'folder' if folder else 'file'}, but this is {found}", fix=_OTHER)


def check_name(path: str) -> None:
    """Check that a text can be a path.

    Raises:
        InputError: It has a NUL character.
    """
    if "\0" in path:
        raise InputError(f"{path!r}: a path has no NUL characters", fix="check the path")


def check_size(name: str, size: int, limit: int | None) -> None:
    """Check the size of a file.

    Raises:
        InputError: It is too large.
    """
    if limit is not None and size > limit:
        raise InputError(f"{name}: larger than {limit:,} bytes", fix="check that this is the right file")
