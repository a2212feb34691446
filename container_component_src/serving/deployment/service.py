"""What is to be deployed, and what came of it: the same for every backend."""

from dataclasses import dataclass, field

from container_component_src.steps.serving import Hosting

# Variables of the serving processes: rows of single requests are too few to share among threads.
SERVER_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class SmokeRequest:
    """Rows that a new service has to score as the model itself does."""

    instances: tuple[dict[str, float], ...]  # engineering units by channel
    scores: tuple[float, ...]  # of the model in this process, nats


@dataclass(frozen=True)
class Service:
    """A model to serve."""

    name: str
    bundle_uri: str
    smoke_request: SmokeRequest
    model_version: str  # of the bundle, which every answer has to report
    hosting: Hosting = field(default_factory=Hosting)
    ready_timeout: float = 600.0  # seconds until every part has to be ready; images take minutes to be pulled
    request_timeout: float = 30.0  # seconds for the smoke request

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
