"""`deploy_to_kserve`."""

import click

from container_component_src import outputs
from container_component_src.cli.options import backend_option, executor_input_option


@click.command()
@click.option("--bundle-path", required=True, help="The model bundle.")
@click.option(
    "--test-df-path",
    default="",
    help="Scaled test dataset whose first rows make the smoke request; a row at the scaler's centre without it.",
)
@click.option("--service-name", default="columbus-eclss-ad", show_default=True, help="Name of the InferenceService.")
@click.option("--namespace", default="", help="Namespace of the InferenceService; the cluster's backend needs it.")
@click.option("--image", default="", help="Image of its containers; the cluster's backend needs it.")
@backend_option
@executor_input_option
def deploy_to_kserve(
    bundle_path: str,
    test_df_path: str,
    service_name: str,
    namespace: str,
    image: str,
    backend_name: str,
    executor_input: str,
) -> None:
    """Deploy a model bundle as a service, and have it answer one real request as the model itself does."""
    from container_component_src.backends.base import get_backend
    from container_component_src.serving.deployment import make_service

    backend = get_backend(backend_name)
    deployment = backend.deploy(make_service(bundle_path, test_df_path, service_name, namespace, image))
    outputs.publish(executor_input, parameters={"endpoint": deployment.url})
