"""`cleanup`: delete what a run left behind."""

import click

from container_component_src.cli.options import backend_option
from container_component_src.scratch import RUN_ID_VARIABLE


@click.command()
@click.option("--run-id", envvar=RUN_ID_VARIABLE, required=True, help="The run, as the pipeline names it.")
@click.option("--namespace", default="", help="Namespace of the run's pods; the cluster's backend needs it.")
@backend_option
def cleanup(run_id: str, namespace: str, backend_name: str) -> None:
    """Delete what a run left behind; nothing happens where nothing is left."""
    if backend_name == "kubernetes":
        from container_component_src.cluster.access import connect
        from container_component_src.maintenance.cluster_cleanup import clean_up_cluster

        removed = clean_up_cluster(connect(namespace), run_id)
    else:
        from container_component_src.maintenance.cleanup import clean_up

        removed = clean_up(run_id)
    for line in removed:
        click.echo(f"removed {line}")
    if not removed:
        click.echo(f"nothing left of run {run_id}")
