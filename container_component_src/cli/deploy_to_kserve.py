"""`deploy_to_kserve`."""

from typing import TYPE_CHECKING

import click

from container_component_src import outputs
from container_component_src.cli.cluster_options import cluster_options, print_manifest
from container_component_src.cli.options import backend_option, executor_input_option

if TYPE_CHECKING:
    from container_component_src.cluster.pod_settings import PodSettings


@click.command()
@click.option("--bundle-path", required=True, help="The model bundle.")
@click.option(
    "--test-df-path",
    default="",
    help="Scaled test dataset whose first rows make the smoke request; a row at the scaler's centre without it.",
)
@click.option("--service-name", default="columbus-eclss-ad", show_default=True, help="Name of the InferenceService.")
@cluster_options()
@backend_option
@executor_input_option
def deploy_to_kserve(
    bundle_path: str,
    test_df_path: str,
    service_name: str,
    pods: "PodSettings",
    dry_run: bool,
    backend_name: str,
    executor_input: str,
) -> None:
    """Deploy a model bundle as a service, and have it answer one real request as the model itself does."""
    from container_component_src.backends.base import get_backend
    from container_component_src.serving.deployment import make_service

    service = make_service(bundle_path, test_df_path, service_name, pods.namespace, pods.image)
    if dry_run:
        print_manifest(pods, service)
        return
    deployment = get_backend(backend_name, pods).deploy(service)
    outputs.publish(executor_input, parameters={"endpoint": deployment.url})
