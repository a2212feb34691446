"""`cleanup`: delete what a run left behind, or the data of old runs."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import click

from container_component_src.cli.options import backend_option, namespace_option
from container_component_src.errors import InputError
from container_component_src.scratch import RUN_ID_VARIABLE


class Age(click.ParamType[timedelta]):
    """A length of time: `12h`, `30d` or `8w`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse hours, days or weeks."""
        found = re.fullmatch(r"(\d{1,5})([hdw])", str(value))
        if not found:
            self.fail(f"{value!r} is not a number of hours, days or weeks, as in 12h, 30d or 8w", param, ctx)
        unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
        return timedelta(**{unit: int(found[1])})


@click.command()
@click.option("--run-id", envvar=RUN_ID_VARIABLE, default="", help="The run, as the pipeline names it.")
@click.option("--data", is_flag=True, help="Delete the data of old runs below --data-root instead.")
@click.option("--data-root", default="", help="With --data: the data root of the runs.")
@click.option(
    "--older-than", type=Age(), help="With --data: delete runs to which nothing was written for so long (12h, 30d, 8w)."
)
@click.option("--dry-run", is_flag=True, help="With --data: say what would be deleted, delete nothing.")
@namespace_option
@backend_option
def cleanup(
    run_id: str,
    data: bool,
    data_root: str,
    older_than: timedelta | None,
    dry_run: bool,
    namespace: str,
    backend_name: str,
) -> None:
    """Delete what a run left behind, or with --data the data of old runs; nothing happens where nothing is left.

    Data that a deployed service reads is kept: --backend kubernetes asks the cluster.
    """
    from container_component_src.backends.base import get_backend
    from container_component_src.steps.shared import PodSettings

    backend = get_backend(backend_name, PodSettings(namespace=namespace))
    if not data:
        if data_root or older_than is not None or dry_run:
            raise InputError("--data-root, --older-than and --dry-run are for --data", fix="add it, or leave them out")
        removed = [f"removed {line}" for line in backend.clean_up(run_id)]
        _print_lines(removed, f"nothing left of run {run_id}")
    elif data_root and older_than is not None:
        _print_lines(backend.clean_up_data(data_root, older_than, dry_run), f"no older runs below {data_root}")
    else:
        raise InputError(
            "--data needs --data-root and --older-than", fix="name the data root and the minimum age of a run"
        )


def _print_lines(lines: Iterable[str], nothing: str) -> None:
    shown = False
    for line in lines:
        click.echo(line)
        shown = True
    if not shown:
        click.echo(nothing)
