"""Typed, frozen settings: everything that `config.toml` may say, checked key by key when it is read."""

from pathlib import Path
from typing import Any

import tomli
from pydantic import Field

from container_component_src.errors import InputError
from container_component_src.files import read_text
from container_component_src.names import (
    AccountName,
    ImageRepository,
    ImageTag,
    OptionalImageRepository,
    OptionalSecretName,
    OptionalUri,
    SecretName,
    Uri,
    WebAddress,
)
from container_component_src.steps.calibration import Subsystems
from container_component_src.steps.data import ReportColumns
from container_component_src.steps.placement import Placement, PodAnnotations, PodLabels
from container_component_src.steps.serving import PayloadLogging, Replicas, ServiceName
from container_component_src.steps.shared import Gpus, PodSettings, PullPolicy, ReportSettings
from container_component_src.steps.training import TrainingApi
from container_component_src.values import (
    IMAGE_USER,
    LARGEST_ID,
    Cpu,
    Frozen,
    Hours,
    LocalPath,
    Memory,
    NonEmpty,
    in_home,
    validated,
)

_OTHER_FILE = "name an existing one with --config"


class Paths(Frozen):
    """Where the data lies; URIs as in the storage module, relative paths from the working directory."""

    archives: Uri  # prefix that holds the parquet archives
    reports: Uri  # the anomaly reports (.xls, .xlsx or .csv)
    feedback: OptionalUri = ""  # operators' verdicts on alarms (.csv); empty: none
    work_dir: LocalPath = Path("local_data")  # outputs, cache and logs of local runs
    kept_runs: int = Field(default=20, ge=1)  # local runs whose reports and logs stay, beside deployed ones
    data_root: OptionalUri = ""  # folder of datasets in a store of your own; empty: where the pipeline keeps artifacts


class Platform(Replicas, PayloadLogging):
    """Names that the cluster knows."""

    s3_secret: SecretName = "s3creds"  # noqa: S105 - the name of the Secret with the S3 credentials and endpoint
    inference_service: ServiceName = "columbus-eclss-ad"  # name of the deployed model
    model_registry: WebAddress = ""  # address of Kubeflow's Model Registry; empty: deployed models are not registered
    service_account: AccountName = ""  # of the pods that steps start; the namespace's default one if empty
    # Of the pods of trials; 0 where the cluster assigns users.
    trial_user: int = Field(default=IMAGE_USER, ge=0, le=LARGEST_ID)
    training_api: TrainingApi = TrainingApi.AUTO  # kind of the job that trains
    pod_labels: PodLabels = Field(default_factory=dict)  # of the pods of steps and of those that steps start
    pod_annotations: PodAnnotations = Field(default_factory=dict)


class ColNames(ReportColumns):
    """Column names of the telemetry and of the anomaly reports."""

    timestamp: NonEmpty = "normalizedTime"

    @property
    def report(self) -> ReportColumns:
        """The headers of the report table alone."""
        return ReportColumns(**self.model_dump(exclude={"timestamp"}))


class Image(Frozen):
    """The container image of every step, and a second one if pods with GPUs have an image of their own."""

    repository: ImageRepository = "columbus-eclss-ad"
    gpu_repository: OptionalImageRepository = ""  # of pods that request GPUs, with the same tag; empty: `repository`
    tag: ImageTag = "latest"  # of local containers; whoever submits a run takes that of the commit, or names one
    pull_policy: PullPolicy = "IfNotPresent"
    pull_secret: OptionalSecretName = ""  # Secret with the login of the registry; empty: none

    @property
    def reference(self) -> str:
        """What a pod spec names, as `repository:tag`."""
        return f"{self.repository}:{self.tag}"


class StepResources(Frozen):
    """Kubernetes quantities of one class of steps."""

    cpu: Cpu
    memory: Memory


class TrainingResources(Gpus, Placement, StepResources):
    """What one trial, or one node of a training, may use, and where it may run."""


class Resources(Frozen):
    """What pods may use on the cluster."""

    light: StepResources = StepResources(cpu="500m", memory="1Gi")  # steps that start other jobs or handle small files
    data: StepResources = StepResources(cpu="2", memory="4Gi")  # steps that stream the dataset
    training: TrainingResources = TrainingResources(cpu="4", memory="8Gi")  # trials and training replicas
    dask_worker: StepResources = StepResources(cpu="2", memory="4Gi")
    serving: StepResources = StepResources(cpu="1", memory="2Gi")  # each container of the service


class Limits(Frozen):
    """When the cluster gives up."""

    retries: int = Field(default=2, ge=0, le=10)  # of a failed step
    step_hours: Hours = 6.0  # of every step but those that wait for trials and training
    trial_hours: Hours = 6.0
    tuning_hours: Hours = 48.0  # of all trials
    training_hours: Hours = 24.0


class Settings(Frozen):
    """All of `config.toml`; the file needs `[paths]` only."""

    paths: Paths
    platform: Platform = Platform()
    col_names: ColNames = Field(default=ColNames(), alias="col-names")
    image: Image = Image()
    resources: Resources = Resources()
    limits: Limits = Limits()
    report: ReportSettings = ReportSettings()
    subsystems: Subsystems = Field(default_factory=dict)
    parameters: dict[str, bool | int | float | str | list[object]] = Field(default_factory=dict)  # of the pipeline

    def image_for(self, resources: StepResources) -> str:
        """Return the reference of the image for pods that request some resources."""
        if self.image.gpu_repository and isinstance(resources, Gpus) and resources.gpus:
            return f"{self.image.gpu_repository}:{self.image.tag}"
        return self.image.reference

    def pods(self, resources: StepResources) -> PodSettings:
        """Return the settings of the pods that a step starts.

        Args:
            resources: Resources of each pod.
        """
        return PodSettings(
            image=self.image_for(resources),
            s3_secret=self.platform.s3_secret,
            service_account=self.platform.service_account,
            **self.of_all_pods,
            **resources.model_dump(),
        )

    @property
    def of_all_pods(self) -> dict[str, Any]:
        """Settings that the pods of steps and those that steps start have in common, as `PodSettings` names them."""
        return {
            "image_pull_policy": self.image.pull_policy,
            "image_pull_secret": self.image.pull_secret,
            "pod_labels": self.platform.pod_labels,
            "pod_annotations": self.platform.pod_annotations,
        }

    @property
    def images(self) -> tuple[str, ...]:
        """References of all images that the pods of a run need, each once."""
        return tuple(dict.fromkeys(self.image_for(resources) for _, resources in self.resources))


def load_settings(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        InputError: The file is absent or not TOML, or a key is unknown, missing or of a wrong type.
    """
    path = Path(in_home(str(path)))
    try:
        if not path.exists():
            raise InputError(f"{path}: no such configuration file", fix=_OTHER_FILE)
        values = tomli.loads(read_text(path))
    except RecursionError as error:
        raise InputError(f"{path}: not readable as TOML (nested too deeply)", fix="fix the file") from error
    except (OSError, ValueError) as error:  # ValueError: not TOML, or a null character in the path
        raise InputError(f"{path}: not readable as TOML ({error})", fix="fix the file") from error
    return validated(Settings, values, str(path))
