"""List the runs of this machine or of a platform, or compare two: `make runs`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from container_component_src.command_line import run_command
from container_component_src.errors import InputError
from container_component_src.processes import PROJECT_ROOT
from container_component_src.settings import load_settings
from pipeline.history import PastRun, compare, find_run
from pipeline.history_table import show_comparison, show_runs
from pipeline.options import config_option, trust_options
from pipeline.run_folders import read_runs

_SEARCHED = 200  # last runs of a platform among which a compared one is looked for
_WIDEST = 200  # columns of a table that goes into a file or a pipe


@dataclass(frozen=True)
class Options:
    """The values of the options, by the names of the command's parameters."""

    config_file: Path
    compared: tuple[str, str] | None
    limit: int
    as_json: bool
    cluster: bool
    remote: bool
    experiment: str
    ca_bundle: Path | None
    insecure: bool
    debug: bool


@click.command(context_settings={"max_content_width": 120})
@config_option
@click.option(
    "--compare", "compared", nargs=2, metavar="ID ID", help="Compare two runs; the first characters are enough."
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Number of the last runs to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--cluster", is_flag=True, help="In a Kubeflow notebook: list the runs of its namespace.")
@click.option("--remote", is_flag=True, help="List the runs of the platform whose login is in .env.")
@click.option(
    "--experiment", default="columbus-eclss-ad", show_default=True, help="With --cluster or --remote: their experiment."
)
@trust_options
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def runs(**options: Any) -> None:
    """List the last runs: start, status, metrics, whether the model was deployed, commit and changed parameters.

    Metrics are those of the model on the test set, at its calibrated threshold. A `+` behind a commit says that changes
    were not committed.
    """
    given = Options(**options)
    if given.cluster and given.remote:
        raise InputError("--cluster and --remote exclude each other", fix="give one")
    found = _platform_runs(given) if given.cluster or given.remote else _local_runs(given)
    if given.compared:
        first, second = found
        comparison = compare(first, second)
        _print_json(comparison.document()) if given.as_json else show_comparison(comparison, _console())
    elif given.as_json:
        _print_json({"runs": [run.document() for run in found]})
    elif found:
        show_runs(found, _console())
    else:
        click.echo("no runs yet", err=True)


def _local_runs(options: Options) -> list[PastRun]:
    """Return the listed or the two compared runs of this machine, in processes and in containers."""
    work_dir = PROJECT_ROOT / load_settings(options.config_file).paths.work_dir
    found = read_runs(work_dir, work_dir / "containers")
    if options.compared:
        return [find_run(found, run_id) for run_id in options.compared]
    return found[: options.limit]


def _platform_runs(options: Options) -> list[PastRun]:
    """Return the listed or the two compared runs of a platform."""
    from pipeline.login.settings import Trust, read_environment, remote_settings
    from pipeline.remote.history import examined, list_runs
    from pipeline.remote.workspace import open_from_notebook, open_remote

    if options.remote:
        trust = Trust(options.ca_bundle, not options.insecure)
        workspace = open_remote(remote_settings(read_environment(PROJECT_ROOT / ".env"), trust))
    else:
        workspace = open_from_notebook()
    found = list_runs(workspace, options.experiment, _SEARCHED if options.compared else options.limit)
    if options.compared:
        found = [find_run(found, run_id) for run_id in options.compared]
    return [examined(workspace, run) for run in found]


def _console() -> Console:
    """Return stdout; a file or a pipe gets whole lines."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDEST)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(run_command(runs, sys.argv[1:], "runs"))
