"""What the pods of all jobs have in common: image, resources, credentials from the Secret, and no rights."""

from typing import Any

from kubernetes import client

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.scratch import RUN_ID_VARIABLE
from container_component_src.steps.shared import PodSettings
from container_component_src.storage import S3_ENVIRONMENT

SIDECAR_OFF = {"sidecar.istio.io/inject": "false"}  # a mesh's proxy keeps jobs from ending and nodes from meeting
SHARED_MEMORY = "shared-memory"  # name of the volume


def check(settings: PodSettings, what: str) -> None:
    """Refuse settings without which no pod can be made.

    Raises:
        InputError: Namespace or image is missing; the message names the option.
    """
    for option in ("namespace", "image"):
        if not getattr(settings, option):
            raise InputError(f"{what} needs --{option}")


def reachable(uri: str) -> str:
    """The address of an object store that pods can use too.

    Raises:
        InputError: It is a path of this machine.
    """
    location = storage.resolve(uri, environment={})  # pods have other settings of the store than this process
    if location.is_local:
        raise InputError(f"{uri}: pods cannot reach this machine's files; give an s3:// address")
    return location.uri


def s3_environment(settings: PodSettings) -> list[client.V1EnvVar]:
    """The S3 settings as environment variables that Kubernetes fills from the Secret."""
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
    """Requests, and limits of memory and GPUs; CPU is not limited, because throttling slows more than it shares."""
    gpus = {settings.gpu_resource: str(settings.gpus)} if settings.gpus else {}
    return client.V1ResourceRequirements(
        requests={"cpu": settings.cpu, "memory": settings.memory, **gpus}, limits={"memory": settings.memory, **gpus}
    )


def container(name: str, settings: PodSettings, command: list[str], run_id: str, **options: Any) -> client.V1Container:
    """A container of the one image that has the rights of the `restricted` Pod Security Standard.

    Args:
        name: Of the container.
        settings: Image, resources and Secret.
        command: The whole command line.
        run_id: For its environment.
        options: Further fields of `V1Container`; `env` is appended.
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
    """A pod that runs one container to its end, with shared memory and without a mesh's proxy.

    Args:
        settings: Service account and size of the shared memory.
        main: The container; gets the mount of the shared memory.
        labels: Of the pod.
        options: Further fields of `V1PodSpec`, such as `active_deadline_seconds`.
    """
    main.volume_mounts = [*(main.volume_mounts or []), shared_memory_mount()]
    return client.V1PodTemplateSpec(
        metadata=pod_metadata(labels),
        spec=pod_spec(settings, main, "Never", volumes=[shared_memory_volume(settings)], **options),
    )


def pod_spec(settings: PodSettings, main: client.V1Container, restart_policy: str, **options: Any) -> client.V1PodSpec:
    """A pod of one container, without a token for the API of Kubernetes, which only steps ask.

    Args:
        settings: Service account.
        main: The container.
        restart_policy: `Never` or `Always`.
        options: Further fields of `V1PodSpec`.
    """
    return client.V1PodSpec(
        containers=[main],
        restart_policy=restart_policy,
        service_account_name=settings.service_account or None,
        automount_service_account_token=False,
        **options,
    )


def shared_memory_mount() -> client.V1VolumeMount:
    """Where a container sees the volume of `shared_memory_volume`."""
    return client.V1VolumeMount(name=SHARED_MEMORY, mount_path="/dev/shm")  # noqa: S108 - not a temporary file


def shared_memory_volume(settings: PodSettings) -> client.V1Volume:
    """Memory in which processes of a pod exchange data; what containers get by default is 64 MiB."""
    return client.V1Volume(
        name=SHARED_MEMORY,
        empty_dir=client.V1EmptyDirVolumeSource(medium="Memory", size_limit=settings.shared_memory),
    )


def pod_metadata(labels: dict[str, str]) -> client.V1ObjectMeta:
    """Of a pod template: labels, and no mesh proxy, asked for in its older and its newer form."""
    return client.V1ObjectMeta(labels={**labels, **SIDECAR_OFF}, annotations=dict(SIDECAR_OFF))
