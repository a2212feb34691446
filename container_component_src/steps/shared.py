"""Arguments that several commands share."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from container_component_src.names import (
    AccountName,
    ImageReference,
    Namespace,
    OptionalSecretName,
    OptionalUri,
    ResourceName,
    SecretName,
)
from container_component_src.steps.declaration import Arguments, flag, option, parameter, wired
from container_component_src.steps.placement import Placement, PodAnnotations, PodLabels
from container_component_src.values import Cpu, Memory, NonEmpty

Size = Annotated[int, Field(ge=1)]
MOST_HOURS = 876_600.0  # a century; timestamps in nanoseconds cover less than three


class DataRoot(Arguments):
    """Where a step writes its datasets."""

    data_root: OptionalUri = parameter(
        "Folder in a store of your own for the datasets of all runs: large outputs go to RUN_ID/COMMAND below it, and "
        "not where the other options say. Empty: the pipeline's own store.",
        "",
    )


class TimestampColumn(Arguments):
    """How the time of a row is stored."""

    timestamp_col: NonEmpty = parameter("Name of the timestamp column, in UTC.", "normalizedTime")


class Seed(Arguments):
    """The seed of everything that is drawn at random."""

    seed: int = parameter("Seed of every random choice.", 42, ge=0, lt=2**32)


class Place(Arguments):
    """Where jobs run."""

    namespace: Namespace = parameter("Namespace of the jobs on a cluster. Empty: that of the pod that starts them.", "")
    backend: Literal["kubernetes", "local"] = parameter(
        "Where jobs run: by the operators of a cluster, or as processes of this machine.",
        "local",
        envvar="PIPELINE_BACKEND",
    )


class ReportSettings(Arguments):
    """What the report says of itself."""

    title: NonEmpty = option("Title of the report.", "Anomaly detection")


class Origin(ReportSettings):
    """What a run was compiled from."""

    config: str = option("Configuration file.", "")
    commit: str = option("Commit of the code, with `-dirty` behind it if changes were not committed.", "")
    image: str = option("Image of the steps. Empty: they are processes of one machine.", "")


PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class Gpus(Arguments):
    """What a pod that trains uses beside CPU and memory."""

    gpus: int = option("GPUs of a pod.", 0, ge=0, le=1024)
    gpu_resource: ResourceName = option("Resource name of the GPUs on the cluster.", "nvidia.com/gpu")
    shared_memory: Memory = option("Size of /dev/shm in a pod, which counts as part of its memory.", "1Gi")


class PodSettings(Gpus, Placement):
    """How the pods run that a step starts; quantities as Kubernetes writes them."""

    namespace: str = ""
    image: ImageReference = option("Image of the pods; a cluster needs it.", "")
    image_pull_policy: PullPolicy = option("When to pull the image.", "IfNotPresent")
    image_pull_secret: OptionalSecretName = option("Secret with the login of the image's registry. Empty: none.", "")
    s3_secret: SecretName = option("Secret with the S3 credentials and endpoint.", "s3creds")
    service_account: AccountName = option("Service account of the pods. Empty: the default one of the namespace.", "")
    cpu: Cpu = option("CPU request of a pod, as Kubernetes writes it.", "1")
    memory: Memory = option("Memory request and limit of a pod, as Kubernetes writes it.", "2Gi")
    pod_labels: PodLabels = option("More labels of the pods, as a JSON object.", {})
    pod_annotations: PodAnnotations = option("More annotations of the pods, as a JSON object.", {})


class Launching(Place):
    """A step that starts jobs.

    Attributes:
        image_option: Option for the image of the pods.
    """

    image_option: ClassVar[str] = "--image"

    pods: PodSettings = wired(
        "Settings of the pods as a JSON object; the options below override it.", PodSettings.model_construct()
    )
    dry_run: bool = flag("Print the manifest and start nothing.")

    @model_validator(mode="before")
    @classmethod
    def _pods_are_in_the_namespace(cls, values: Any) -> Any:
        pods = values.get("pods", {})
        pods = pods.model_dump() if isinstance(pods, PodSettings) else pods
        return (
            {**values, "pods": {**pods, "namespace": values.get("namespace", "")}} if isinstance(pods, dict) else values
        )
