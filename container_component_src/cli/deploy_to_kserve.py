"""`deploy_to_kserve`."""

from typing import TYPE_CHECKING, Any

import click

from container_component_src import outputs
from container_component_src.cli.cluster_options import cluster_options, print_manifest
from container_component_src.cli.options import POSITIVE, WholeNumber, backend_option, executor_input_option

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
@click.option(
    "--deployment-mode",
    type=click.Choice(["Standard", "Knative", "RawDeployment", "Serverless"]),
    default="Standard",
    show_default=True,
    help="Pods of a Deployment, or of Knative, on demand. The last two are the names of both before KServe 0.16; where "
    "KServe does not know one name, the other is used.",
)
@click.option(
    "--model-storage",
    type=click.Choice(["secret", "service-account"]),
    default="secret",
    show_default=True,
    help="Servers read the bundle from S3 with the Secret that all pods have, or KServe copies it into the pods with "
    "the credentials of --service-account.",
)
@click.option("--combined", is_flag=True, help="One container for both parts, instead of transformer and predictor.")
@click.option(
    "--min-replicas", type=WholeNumber(0), default=1, show_default=True, help="Pods of a part; 0 with Knative only."
)
@click.option("--max-replicas", type=WholeNumber(1), default=1, show_default=True, help="Pods of a part.")
@click.option(
    "--canary-traffic-percent",
    type=WholeNumber(0),
    help="Share of requests for the new model, the rest is for the one before; with Knative and --combined only.",
)
@click.option(
    "--istio-sidecar",
    is_flag=True,
    help="Let Istio put its proxy into the pods; a profile's policy then keeps transformer and predictor apart.",
)
@click.option(
    "--take-over",
    type=bool,
    default=False,
    show_default=True,
    help="Replace an InferenceService of that name even if something else made it.",
)
@click.option(
    "--gateway-url",
    default="",
    help="Where the smoke request goes from outside the cluster, a forwarded port of the gateway for example.",
)
@click.option(
    "--ready-timeout", type=POSITIVE, default=600.0, show_default=True, help="Seconds until the service is ready."
)
@cluster_options()
@backend_option
@executor_input_option
def deploy_to_kserve(
    bundle_path: str,
    test_df_path: str,
    service_name: str,
    ready_timeout: float,
    pods: "PodSettings",
    dry_run: bool,
    backend_name: str,
    executor_input: str,
    **hosting: Any,
) -> None:
    """Deploy a model bundle as a service, and have it answer one real request as the model itself does."""
    from container_component_src.backends.base import get_backend
    from container_component_src.model.arguments import checked
    from container_component_src.serving.deployment.preparation import make_service
    from container_component_src.serving.deployment.service import Hosting

    service = make_service(bundle_path, test_df_path, service_name, checked(Hosting, hosting), ready_timeout)
    if dry_run:
        print_manifest(pods, lambda backend: backend.service_manifest(service))
        return
    deployment = get_backend(backend_name, pods).deploy(service)
    outputs.publish(executor_input, parameters={"endpoint": deployment.url})
