"""Output of `--dry-run`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from container_component_src.backends.kubernetes import KubernetesBackend
    from container_component_src.cluster.access import Manifest


def print_manifests(pods: PodSettings, build: "Callable[[KubernetesBackend], list[Manifest]]") -> None:
    """Print the objects that a step would create on a cluster, as YAML.

    Args:
        pods: Settings of the pods.
        build: Returns the objects, given the backend of a cluster.
    """
    import yaml

    from container_component_src.backends.kubernetes import KubernetesBackend

    click.echo(yaml.safe_dump_all(build(KubernetesBackend(pods)), sort_keys=False), nl=False)
