"""Errors that a step reports: each has a one-line message for the user and the exit code of the command."""

import errno
import re

NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # of an OSError: the disk, the file or the quota is full
BAD_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}  # of an OSError: no such path can be


_LOGIN = re.compile(r"(?<=//)[^/\s@]*:[^/\s]*(?=@)")  # of an address


def without_logins(text: str) -> str:
    """Return a text with `***` for the user names and passwords of its addresses."""
    return _LOGIN.sub("***", text)


class PipelineError(Exception):
    """Base class of the errors that are raised on purpose.

    Args:
        problem: What is wrong, naming the file, option or object.
        fix: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(without_logins(f"{problem}; {fix}" if fix else problem))


class InputError(PipelineError):
    """An input or an option is wrong, and changing it fixes the error."""

    exit_code = 2


class StepError(PipelineError):
    """The step itself, or a service that it depends on, failed."""
