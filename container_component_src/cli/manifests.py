"""What `--dry-run` shows."""

from typing import TYPE_CHECKING

import click

from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from container_component_src.backends.kubernetes import Request


def print_manifest(pods: PodSettings, request: "Request") -> None:
    """Print the object that a step would create on a cluster, as YAML."""
    import yaml

    from container_component_src.backends.kubernetes import KubernetesBackend

    click.echo(yaml.safe_dump(KubernetesBackend(pods).manifest(request), sort_keys=False), nl=False)
