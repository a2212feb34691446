"""`cleanup`: delete what a run left behind."""

import click

from container_component_src.cli.options import backend_option
from container_component_src.scratch import RUN_ID_VARIABLE


@click.command()
@click.option("--run-id", envvar=RUN_ID_VARIABLE, required=True, help="The run, as the pipeline names it.")
@backend_option
def cleanup(run_id: str, backend_name: str) -> None:
    """Delete what a run left behind; nothing happens where nothing is left."""
    from container_component_src.backends.base import get_backend
    from container_component_src.maintenance.cleanup import clean_up

    get_backend(backend_name)
    removed = clean_up(run_id)
    for line in removed:
        click.echo(f"removed {line}")
    if not removed:
        click.echo(f"nothing left of run {run_id}")
