"""`deploy_to_kserve`: a model bundle into a service."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.manifests import print_manifests
from container_component_src.steps.serving import DeployToKserve

_UNREAD_VERSION = "that of the bundle"  # in the manifest of a dry run


@step_command(DeployToKserve)
def deploy_to_kserve(arguments: DeployToKserve, executor_input: str) -> None:
    """Deploy a model bundle as a service, which must answer one real request as the model itself does."""
    import os

    from container_component_src import outputs
    from container_component_src.backends.base import get_backend
    from container_component_src.model.bundle_info import open_info
    from container_component_src.scratch import RUN_ID_VARIABLE
    from container_component_src.serving.deployment.preparation import make_service
    from container_component_src.serving.deployment.registry import registration, try_to_register
    from container_component_src.serving.deployment.service import Service, SmokeRequest, bundle_to_deploy

    name = arguments.service_name
    backend = get_backend(arguments.backend, arguments.pods, arguments.deployments)
    uri = bundle_to_deploy(arguments.bundle_path, name, lambda: backend.deployed(name))
    if arguments.dry_run:  # asks no store either, whose credentials may be those of the cluster alone
        unread = Service(name, uri, SmokeRequest((), ()), _UNREAD_VERSION, arguments)
        print_manifests(arguments.pods, lambda backend: [backend.service_manifest(unread)])
        return
    service = make_service(uri, arguments.test_df_path, name, arguments, arguments.ready_timeout)
    deployment = backend.deploy(service)
    if arguments.registry:
        info, run_id = open_info(uri), os.environ.get(RUN_ID_VARIABLE, "")
        model = registration(name, uri, info, run_id, arguments.commit)
        try_to_register(arguments.registry, model, os.environ)
    outputs.publish(executor_input, parameters={"endpoint": deployment.url})
