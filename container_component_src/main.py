"""Command line of the image: every step of the pipeline is a command of this program."""

import atexit
import gc
import logging
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType

import click

if not __package__:  # run as a script, so Python does not find the package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from container_component_src.errors import BAD_PATH, NO_ROOM, PipelineError

COMMANDS = (
    "cleanup",
    "create_train_val_test_split",
    "deploy_to_kserve",
    "doctor",
    "fit_scaler",
    "generate_telemetry",
    "label_telemetry",
    "list_archives",
    "query_model",
    "run_dask_preprocessing",
    "run_evaluation",
    "run_katib_experiment",
    "run_pytorchjob",
    "run_training",
    "scale_dataframes",
    "serve_predictor",
    "serve_transformer",
    "split_parquet_file",
    "visualize_results",
)


class Commands(click.Group):
    """Command group that imports the module of a command on first use, which keeps startup fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name, or None if it does not exist."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"container_component_src.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"max_content_width": 120})
@click.option("--debug", is_flag=True, help="Log details, and show the traceback of an error.")
def cli(debug: bool) -> None:
    """Anomaly detection on ISS Columbus ECLSS telemetry: the steps of the pipeline, one command each."""
    # Logs go to stdout, so that stderr contains only the one line of an error.
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.captureWarnings(True)
    for chatty in ("asyncio", "botocore", "fsspec", "httpcore", "httpx", "s3fs", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command line without the program name; `sys.argv` by default.

    Returns:
        The exit code: 0 for success, 2 for invalid input or options, 130 for an interrupt, 1 for any other failure.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _stop)
    try:
        cli.main(args=arguments or ["--help"], prog_name="main.py", standalone_mode=False)
    except (click.ClickException, PipelineError, OSError) as error:
        if "--debug" in arguments:
            logging.getLogger(__name__).exception("failed")
        code, message = _explain(error)
        click.echo(f"error: {message}", err=True)
        return code
    except click.Abort:
        return 130
    except Exception as error:  # unexpected errors are one line too, with a traceback on request
        if "--debug" in arguments:
            raise
        click.echo(
            f"error: {type(error).__name__}: {_one_line(str(error))}; run with --debug for the traceback", err=True
        )
        return 1
    return 0


def _explain(error: click.ClickException | PipelineError | OSError) -> tuple[int, str]:
    """Return the exit code and the one-line message of an error."""
    if isinstance(error, click.ClickException):
        return error.exit_code, _one_line(error.format_message())
    if isinstance(error, PipelineError):
        return error.exit_code, _one_line(str(error))
    if error.errno in NO_ROOM:
        place = error.filename or "the output"
        return 2, f"no space left to write {place} ({error.strerror}); free space or choose another path"
    return 2 if error.errno in BAD_PATH else 1, f"{_one_line(str(error))}; check the path and its permissions"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """Exit through the `finally` blocks when the process is told to stop."""
    raise SystemExit(128 + signal_number)


if __name__ == "__main__":
    atexit.register(gc.freeze)  # otherwise Python searches all modules of PyTorch for garbage before it exits: a second
    sys.exit(main())
