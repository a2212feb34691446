"""A service to deploy and the result of its deployment, the same for every backend."""

from collections.abc import Callable
from dataclasses import dataclass, field

from container_component_src.errors import InputError
from container_component_src.steps.description import text_of
from container_component_src.steps.serving import PREVIOUS, Hosting, PayloadLogging

MODEL_DIR_OPTION = "--model-dir"
# Variables of the server processes. Single rows are too little work to share among threads. Without fixed thresholds,
# glibc keeps the memory of large requests; with lower ones, the arrays of each request of 10,000 rows, or even the
# activations of each batch, are new memory, which the kernel clears: scoring then takes up to half as long again.
SERVER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(16 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}

# Attempts of a transformer after the first, while its predictor refuses the connection: half a minute, in which the
# only pod of a predictor starts again.
PREDICTOR_RETRIES = 7


@dataclass(frozen=True)
class SmokeRequest:
    """Rows that a new service must score as the model itself does."""

    instances: tuple[dict[str, float], ...]  # engineering units by channel
    scores: tuple[float, ...]  # of the model in this process, nats


@dataclass(frozen=True)
class Service:
    """A model to serve."""

    name: str
    bundle_uri: str
    smoke_request: SmokeRequest
    model_version: str  # version of the bundle, which every answer must report
    hosting: Hosting = field(default_factory=Hosting)
    ready_timeout: float = 600.0  # seconds until the service must be ready; pulling images takes minutes
    request_timeout: float = 30.0  # seconds to wait for the answer to the smoke request

    @property
    def path(self) -> str:
        """Path of V1 requests."""
        return f"/v1/models/{self.name}:predict"

    def predictor_command(self, model_dir: str) -> list[str]:
        """Return the command of the predictor, which is the only one of a combined service."""
        combined = [*self._payload_log(), "--combined"] if self.hosting.combined else []
        return ["serve_predictor", *self._options(model_dir), *combined]

    def transformer_command(self, model_dir: str) -> list[str]:
        """Return the command of the transformer, to which the caller adds the address of the predictor."""
        retries = ("--predictor_request_retries", str(PREDICTOR_RETRIES))
        return ["serve_transformer", *self._options(model_dir), *self._payload_log(), *retries]

    def _options(self, model_dir: str) -> list[str]:
        return [
            *(MODEL_DIR_OPTION, model_dir, "--model-name", self.name),
            *("--dead-after", text_of(self.hosting.dead_after)),
        ]

    def _payload_log(self) -> list[str]:
        """Return the options of the payload log, of a server that sees engineering units."""
        if not self.hosting.payload_log or self.hosting.payload_logger == "kserve":
            return []
        options = self.hosting.part(PayloadLogging).model_dump()
        return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", text_of(value))]


@dataclass(frozen=True)
class Deployment:
    """A service that is ready and has passed its smoke test."""

    url: str  # takes V1 requests
    revision: str  # the model version that answered


@dataclass(frozen=True)
class DeployedBundles:
    """Bundles of a service."""

    present: str = ""  # URI of the one that it serves; empty: no such service has passed its smoke test
    previous: str = ""  # URI of the one before; empty: there is none


def bundle_to_deploy(given: str, service: str, deployed: Callable[[], DeployedBundles]) -> str:
    """Return the URI of the bundle to deploy.

    Args:
        given: URI, or `previous` for the bundle that the service had before the present one.
        service: Name of the service.
        deployed: Returns the bundles of the service.

    Raises:
        InputError: The service had no bundle before the present one.
    """
    if given != PREVIOUS:
        return given
    previous = deployed().previous
    if not previous:
        raise InputError(
            f"service {service} has no previous bundle", fix="name the bundle to deploy, such as that of an earlier run"
        )
    return previous
