"""Options of the commands that start jobs: how pods run on a cluster, and what would be started."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from container_component_src.cli.options import WholeNumber, namespace_option
from container_component_src.cluster.pod_settings import PodSettings
from container_component_src.model.arguments import checked

if TYPE_CHECKING:
    from container_component_src.backends.kubernetes import KubernetesBackend
    from container_component_src.cluster.access import Manifest

F = TypeVar("F", bound=Callable[..., Any])

_HELP = {
    "image": "Image of the pods; the cluster's backend needs it.",
    "image_pull_policy": "When the image is pulled: Always, IfNotPresent or Never.",
    "s3_secret": "Secret with the S3 credentials and endpoint.",
    "service_account": "Service account of the pods; the namespace's default one if empty.",
    "cpu": "CPU that a pod asks for, as Kubernetes writes it.",
    "memory": "Memory that a pod asks for and may use, as Kubernetes writes it.",
    "gpus": "GPUs of a pod.",
    "gpu_resource": "What the cluster calls its GPUs.",
    "shared_memory": "Size of /dev/shm in a pod, part of its memory.",
}


def cluster_options(image_option: str = "--image") -> Callable[[F], F]:
    """Options that describe pods, handed to the command as `pods` (`PodSettings`), and `--dry-run` as `dry_run`.

    Args:
        image_option: What the command calls the option of the image.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def with_pods(**options: Any) -> Any:
            values = {name: options.pop(name) for name in ("namespace", *_HELP)}
            return command(pods=checked(PodSettings, values), **options)

        decorated = click.option("--dry-run", is_flag=True, help="Print the manifest, start nothing.")(
            cast(F, with_pods)
        )
        for name in reversed(_HELP):
            flag = image_option if name == "image" else f"--{name.replace('_', '-')}"
            default = PodSettings.model_fields[name].default
            kind = WholeNumber(0) if name == "gpus" else click.STRING
            option = click.option(flag, name, type=kind, default=default, show_default=default != "", help=_HELP[name])
            decorated = option(decorated)
        return namespace_option(decorated)

    return decorate


def print_manifest(pods: PodSettings, build: "Callable[[KubernetesBackend], Manifest]") -> None:
    """Print what would be created on a cluster, as YAML.

    Args:
        pods: Settings of the pods.
        build: Returns the manifest, given the backend of a cluster.
    """
    import yaml

    from container_component_src.backends.kubernetes import KubernetesBackend

    click.echo(yaml.safe_dump(build(KubernetesBackend(pods)), sort_keys=False), nl=False)
