"""Errors that a step reports: each has a one-line message for the user and the exit code of the command."""

import errno

NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # of an OSError: the disk, the file or the quota is full
BAD_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}  # of an OSError: no such path can be


class PipelineError(Exception):
    """Base class of the errors that are raised on purpose.

    Args:
        problem: What is wrong, naming the file, option or object.
        fix: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(f"{problem}; {fix}" if fix else problem)


class InputError(PipelineError):
    """An input or an option is wrong, and changing it fixes the error."""

    exit_code = 2


class StepError(PipelineError):
    """The step itself, or a service that it depends on, failed."""
