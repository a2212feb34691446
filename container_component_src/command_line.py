"""Running a click command so that every error is one line with an exit code."""

import logging
from collections.abc import Sequence

import click

from container_component_src.errors import BAD_PATH, NO_ROOM, InputError, PipelineError, without_logins

_LONGEST_MESSAGE = 2000  # characters, as an error may repeat what it refuses


def run_command(command: click.Command, arguments: Sequence[str], name: str) -> int:
    """Run a command.

    Args:
        command: Command with an option `--debug`.
        arguments: Command line without the program name.
        name: Name of the program.

    Returns:
        The exit code: 0 for success, 2 for invalid input or options, 130 for an interrupt, 1 for any other failure; or
        the number that the command returns.
    """
    try:
        result = command.main(args=list(arguments), prog_name=name, standalone_mode=False)
    except (click.ClickException, PipelineError, OSError) as error:
        if "--debug" in arguments:
            logging.getLogger(__name__).exception("failed")
        code, message = _explain(error)
        click.echo(f"error: {_one_line(message)}", err=True)
        return code
    except click.Abort:
        return 130
    except Exception as error:  # unexpected errors are one line too, with a traceback on request
        if "--debug" in arguments:
            raise
        message = _one_line(f"{type(error).__name__}: {error}")
        click.echo(f"error: {message}; run with --debug for the traceback", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _explain(error: click.ClickException | PipelineError | OSError) -> tuple[int, str]:
    """Return the exit code and the message of an error."""
    if isinstance(error, click.ClickException):
        return error.exit_code, error.format_message()
    if isinstance(error, PipelineError):
        return error.exit_code, str(error)
    if error.errno in NO_ROOM:
        place = error.filename or "the output"
        problem = f"no space left to write {place} ({error.strerror}); free space or choose another path"
        return InputError.exit_code, problem
    code = InputError.exit_code if error.errno in BAD_PATH else 1
    return code, f"{error}; check the path and its permissions"


def warn(message: str) -> None:
    """Show a warning on a line of stderr, as errors are shown."""
    click.echo(f"warning: {_one_line(message)}", err=True)


def _one_line(text: str) -> str:
    line = without_logins(" ".join(text.split()))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} …"
