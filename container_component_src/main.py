"""Command line of the image: every step of the pipeline is a command of this program."""

import atexit
import gc
import logging
import os
import signal
import sys
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import FrameType

import click

if not __package__:  # run as a script, so Python does not find the package
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from container_component_src.command_line import run_command
from container_component_src.signals import ENDS_WITH_INPUT, end_with_input

COMMANDS_BY_PURPOSE = {
    "Steps of the pipeline, in order": (
        "list_archives",
        "split_parquet_file",
        "run_dask_preprocessing",
        "label_telemetry",
        "create_train_val_test_split",
        "fit_scaler",
        "scale_dataframes",
        "run_katib_experiment",
        "run_pytorchjob",
        "calibrate",
        "run_evaluation",
        "check_gate",
        "compare_models",
        "visualize_results",
        "deploy_to_kserve",
        "cleanup",
    ),
    "Started by steps": ("run_training", "serve_predictor", "serve_transformer"),
    "Example data and checks": ("generate_telemetry", "doctor"),
    "Operation": ("query_model", "score_stream", "check_drift", "console"),
}
GARBAGE_OBJECTS = 20_000  # new containers between two searches for garbage
COMMANDS = tuple(chain.from_iterable(COMMANDS_BY_PURPOSE.values()))


class Commands(click.Group):
    """Command group that imports the module of a command on first use, which keeps startup fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of the help for each purpose, with the whole first sentence of each command's help."""
        for purpose, names in COMMANDS_BY_PURPOSE.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            rows = [(name, command.get_short_help_str(sys.maxsize)) for name, command in commands.items() if command]
            with formatter.section(purpose):
                formatter.write_dl(rows)

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
        The exit code, as `run_command` describes it.
    """
    signal.signal(signal.SIGTERM, _stop)
    return run_command(cli, (sys.argv[1:] if arguments is None else arguments) or ["--help"], "main.py")


def _stop(signal_number: int, frame: FrameType | None) -> None:
    """Exit through the `finally` blocks when the process is told to stop."""
    raise SystemExit(128 + signal_number)


if __name__ == "__main__":
    if ENDS_WITH_INPUT in os.environ:
        end_with_input()
    # Otherwise objects that stay are searched for garbage again and again: imports, and JSON of many lists.
    gc.set_threshold(GARBAGE_OBJECTS)
    atexit.register(gc.freeze)  # otherwise Python searches all modules of PyTorch for garbage before it exits: a second
    sys.exit(main())
