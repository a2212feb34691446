"""Errors that a step reports: each has a one-line message for the user and the exit code of the command."""

import errno
import re

NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # of an OSError: the disk, the file or the quota is full
BAD_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}  # of an OSError: no such path can be

_AUTHORITY = re.compile(r"(?<=//)[^/\s]+")  # of an address


def without_logins(text: str, authority: re.Pattern[str] = _AUTHORITY) -> str:
    """Return a text with `***` for the user names and passwords of its addresses.

    Args:
        text: The text.
        authority: Pattern of the parts of a text that may be `user:password@host`. It must take one pass, as a user may
            give a text of any length.
    """
    return authority.sub(_without_login, text)


def _without_login(authority: re.Match[str]) -> str:
    login, _, host = authority[0].rpartition("@")
    return f"***@{host}" if ":" in login else authority[0]


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
