"""Builders of pod specs: image, resources, credentials from the Secret, and a restricted security context."""

from typing import Any

from kubernetes import client

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.shared import PodSettings
from container_component_src.storage import S3_ENVIRONMENT

SIDECAR_OFF = {"sidecar.istio.io/inject": "false"}  # a mesh proxy keeps jobs from finishing and nodes from connecting
SHARED_MEMORY = "shared-memory"  # name of the volume


def check(settings: PodSettings, what: str) -> None:
    """Check that the settings name a namespace and an image.

    Raises:
        InputError: One is missing; the message names the option.
    """
    for option in ("namespace", "image"):
        if not getattr(settings, option):
            raise InputError(f"{what} needs --{option}")


def reachable(uri: str) -> str:
    """Return a URI that pods can open.

    Raises:
        InputError: The URI is a local path.
    """
    location = storage.resolve(uri, environment={})  # pods have their own S3 settings
    if location.is_local:
        raise InputError(f"{uri}: pods cannot reach this machine's files", fix="give an s3:// address")
    return location.uri


def s3_environment(settings: PodSettings) -> list[client.V1EnvVar]:
    """Return the S3 settings as environment variables that Kubernetes fills from the Secret."""
    return [
        client.V1EnvVar(
            name=name,
            value_from=client.V1EnvVarSource(
                secret_key_ref=client.V1SecretKeySelector(name=settings.s3_secret, key=name, optional=True)
            ),
        )
        for name in S3_ENVIRONMENT
    ]


def resources(settings: PodSettings) -> client.V1ResourceRequirements:
    """Return resource requests, and limits of memory and GPUs; a CPU limit would throttle pods on idle nodes."""
    gpus = {settings.gpu_resource: str(settings.gpus)} if settings.gpus else {}
    return client.V1ResourceRequirements(
        requests={"cpu": settings.cpu, "memory": settings.memory, **gpus}, limits={"memory": settings.memory, **gpus}
    )


def container(name: str, settings: PodSettings, command: list[str], run_id: str, **options: Any) -> client.V1Container:
    """Return a container of the image that satisfies the `restricted` Pod Security Standard.

    Args:
        name: Name of the container.
        settings: Image, resources and Secret.
        command: Command line.
        run_id: Run id for the environment.
        options: More fields of `V1Container`; `env` is appended.
    """
    environment = [client.V1EnvVar(name=RUN_ID_VARIABLE, value=run_id), *s3_environment(settings)]
    return client.V1Container(
        name=name,
        image=settings.image,
        image_pull_policy=settings.image_pull_policy,
        command=command,
        env=environment + options.pop("env", []),
        resources=options.pop("resources", resources(settings)),
        security_context=client.V1SecurityContext(
            allow_privilege_escalation=False,
            run_as_non_root=True,
            capabilities=client.V1Capabilities(drop=["ALL"]),
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
        **options,
    )


def pod_template(
    settings: PodSettings, main: client.V1Container, labels: dict[str, str], **options: Any
) -> client.V1PodTemplateSpec:
    """Return a pod template that runs one container to completion, with shared memory and without a mesh proxy.

    Args:
        settings: Labels, annotations, nodes, service account and size of the shared memory.
        main: Container, to which the mount of the shared memory is added.
        labels: Labels of the pod.
        options: More fields of `V1PodSpec`, such as `active_deadline_seconds`.
    """
    main.volume_mounts = [*(main.volume_mounts or []), shared_memory_mount()]
    return client.V1PodTemplateSpec(
        metadata=pod_metadata(settings, labels),
        spec=pod_spec(settings, main, "Never", volumes=[shared_memory_volume(settings)], **options),
    )


def pod_spec(settings: PodSettings, main: client.V1Container, restart_policy: str, **options: Any) -> client.V1PodSpec:
    """Return the spec of a pod with one container and without a token for the Kubernetes API.

    Args:
        settings: Service account, pull secret and nodes.
        main: Container.
        restart_policy: `Never` or `Always`.
        options: More fields of `V1PodSpec`.
    """
    return client.V1PodSpec(
        containers=[main],
        restart_policy=restart_policy,
        service_account_name=settings.service_account or None,
        automount_service_account_token=False,
        **site_fields(settings),
        **options,
    )


def site_fields(settings: PodSettings) -> dict[str, Any]:
    """Return the fields of a pod spec that depend on the site: the login of the registry, and the nodes."""
    secret = settings.image_pull_secret
    tolerations = (toleration.model_dump() for toleration in settings.tolerations)
    return {
        "image_pull_secrets": [client.V1LocalObjectReference(name=secret)] if secret else None,
        "node_selector": settings.node_selector or None,
        "tolerations": [
            client.V1Toleration(**{name: value for name, value in fields.items() if value not in ("", None)})
            for fields in tolerations
        ]
        or None,
    }


def shared_memory_mount() -> client.V1VolumeMount:
    """Return the mount of `shared_memory_volume` in a container."""
    return client.V1VolumeMount(name=SHARED_MEMORY, mount_path="/dev/shm")  # noqa: S108 - not a temporary file


def shared_memory_volume(settings: PodSettings) -> client.V1Volume:
    """Return the volume for /dev/shm, where processes exchange data; the default of containers is 64 MiB."""
    return client.V1Volume(
        name=SHARED_MEMORY,
        empty_dir=client.V1EmptyDirVolumeSource(medium="Memory", size_limit=settings.shared_memory),
    )


def pod_metadata(settings: PodSettings, labels: dict[str, str]) -> client.V1ObjectMeta:
    """Return a pod template's metadata, which disables the mesh proxy by annotation (older meshes) and by label."""
    return client.V1ObjectMeta(
        labels={**settings.pod_labels, **labels, **SIDECAR_OFF}, annotations={**settings.pod_annotations, **SIDECAR_OFF}
    )
