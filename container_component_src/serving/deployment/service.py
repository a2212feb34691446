"""What is to be deployed, and what came of it: the same for every backend."""

import re
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, model_validator

from container_component_src.errors import InputError
from container_component_src.settings import Frozen

LONGEST_LABEL = 63  # characters of a part of a host name
LONGEST_NAME = LONGEST_LABEL - len("-transformer")
KNATIVE = "Knative"
STANDARD = "Standard"
_OLD_MODES = {"RawDeployment": STANDARD, "Serverless": KNATIVE}  # as KServe before 0.16 calls them
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# Variables of the serving processes: rows of single requests are too few to share among threads.
SERVER_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


def same_mode(mode: str) -> str:
    """The present name of a deployment mode, which KServe before 0.16 calls otherwise."""
    return _OLD_MODES.get(mode, mode)


def names_of_mode(mode: str) -> list[str]:
    """The names that KServe may know a deployment mode by, the given one first."""
    return [
        mode,
        *(name for name in (*_OLD_MODES, *_OLD_MODES.values()) if name != mode and same_mode(name) == same_mode(mode)),
    ]


class Hosting(Frozen):
    """How a cluster is to run a service; processes of one machine heed `combined` only."""

    deployment_mode: Literal["Standard", "Knative", "RawDeployment", "Serverless"] = "Standard"
    model_storage: Literal["secret", "service-account"] = "secret"
    combined: bool = False  # one container for both parts
    min_replicas: int = Field(default=1, ge=0)  # of each part
    max_replicas: int = Field(default=1, ge=1)
    canary_traffic_percent: int | None = Field(default=None, ge=0, le=100)  # None: all traffic to the new model
    istio_sidecar: bool = False
    take_over: bool = False  # replace an InferenceService that others made
    gateway_url: str = ""  # takes the smoke request in the place of the service's own address

    @model_validator(mode="after")
    def _fits_the_mode(self) -> "Hosting":
        serverless = same_mode(self.deployment_mode) == KNATIVE
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"--max-replicas {self.max_replicas} is below --min-replicas {self.min_replicas}")
        if self.min_replicas == 0 and not serverless:
            raise ValueError("--min-replicas 0 needs --deployment-mode Knative, which starts pods on demand")
        if self.canary_traffic_percent is not None and not serverless:
            raise ValueError("--canary-traffic-percent needs --deployment-mode Knative, which divides traffic")
        if self.canary_traffic_percent is not None and not self.combined:
            raise ValueError("--canary-traffic-percent needs --combined: traffic is divided before each part anew, "
                             "so that a transformer would ask the predictor of another model")  # fmt: skip
        return self


@dataclass(frozen=True)
class SmokeRequest:
    """Rows that a new service has to score as the model itself does."""

    instances: tuple[dict[str, float], ...]  # engineering units by channel
    scores: tuple[float, ...]  # of the model in this process, nats


@dataclass(frozen=True)
class Service:
    """A model to serve.

    Raises:
        InputError: The name cannot be that of a Kubernetes service.
    """

    name: str
    bundle_uri: str
    smoke_request: SmokeRequest
    model_version: str  # of the bundle, which every answer has to report
    hosting: Hosting = field(default_factory=Hosting)
    ready_timeout: float = 600.0  # seconds until every part has to be ready; images take minutes to be pulled
    request_timeout: float = 30.0  # seconds for the smoke request

    def __post_init__(self) -> None:
        if not _DNS_LABEL.fullmatch(self.name) or len(self.name) > LONGEST_NAME:
            raise InputError(
                f"service name '{self.name}': use at most {LONGEST_NAME} lower-case letters, digits and hyphens, "
                "starting with a letter"
            )

    @property
    def path(self) -> str:
        """Where requests of the V1 protocol go."""
        return f"/v1/models/{self.name}:predict"

    def predictor_command(self, model_dir: str) -> list[str]:
        """The command that scores rows; of a combined service the only one."""
        return ["serve_predictor", *self._options(model_dir), *(["--combined"] if self.hosting.combined else [])]

    def transformer_command(self, model_dir: str) -> list[str]:
        """The command that takes requests; the address of the predictor has to be added."""
        return ["serve_transformer", *self._options(model_dir)]

    def _options(self, model_dir: str) -> list[str]:
        return ["--model-dir", model_dir, "--model-name", self.name]


@dataclass(frozen=True)
class Deployment:
    """A service that was ready and has answered the smoke request."""

    url: str  # takes requests of the V1 protocol
    revision: str  # the model version that answered
