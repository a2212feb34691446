"""The errors that a step reports: each carries one line for the user and the exit code of the command."""

import errno

NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # of the OSError where a disk, a file or a quota is full


class PipelineError(Exception):
    """Base of all errors raised on purpose; its text is one line that names the thing and the fix."""

    exit_code = 1


class InputError(PipelineError):
    """The input or an option is at fault, and a change there fixes it."""

    exit_code = 2


class StepError(PipelineError):
    """The step itself, or something that it depends on, failed."""
