"""`deploy_to_kserve`: a model bundle into a service."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.manifests import print_manifest
from container_component_src.steps.serving import DeployToKserve


@step_command(DeployToKserve)
def deploy_to_kserve(arguments: DeployToKserve, executor_input: str) -> None:
    """Deploy a model bundle as a service, which must answer one real request as the model itself does."""
    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.serving.deployment.preparation import make_service

    service = make_service(
        arguments.bundle_path, arguments.test_df_path, arguments.service_name, arguments, arguments.ready_timeout
    )
    if arguments.dry_run:
        print_manifest(arguments.pods, lambda backend: backend.service_manifest(service))
        return
    deployment = get_backend(arguments.backend, arguments.pods).deploy(service)
    outputs.publish(executor_input, parameters={"endpoint": deployment.url})
