"""`cleanup`: delete what a run left behind, or the data of old runs."""

from collections.abc import Iterable

import click

from container_component_src.cli.declared import step_command
from container_component_src.steps.maintenance import Cleanup
from container_component_src.steps.shared import PodSettings


@step_command(Cleanup)
def cleanup(arguments: Cleanup) -> None:
    """Delete what a run left behind, or with --data the data of old runs; nothing happens if nothing is left.

    Data that a deployed service reads is kept: --backend kubernetes asks the cluster.
    """
    from container_component_src.backends.base import get_backend

    backend = get_backend(arguments.backend, PodSettings(namespace=arguments.namespace))
    if arguments.older_than is not None:
        deleted = backend.clean_up_data(arguments.data_root, arguments.older_than, arguments.dry_run)
        _print_lines(deleted, f"no older runs below {arguments.data_root}")
    else:
        removed = [f"removed {line}" for line in backend.clean_up(arguments.run_id)]
        _print_lines(removed, f"nothing left of run {arguments.run_id}")


def _print_lines(lines: Iterable[str], nothing: str) -> None:
    shown = False
    for line in lines:
        click.echo(line)
        shown = True
    if not shown:
        click.echo(nothing)
