"""What is to be deployed, and what came of it: the same for every backend."""

import re
from dataclasses import dataclass

from container_component_src.errors import InputError

_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 63 - len("-transformer")


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
    image: str = ""  # of the containers; not used where the service runs as processes
    namespace: str = ""
    ready_timeout: float = 120.0  # seconds until every part has to be ready
    request_timeout: float = 30.0  # seconds for the smoke request

    def __post_init__(self) -> None:
        if not _DNS_LABEL.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            raise InputError(
                f"service name '{self.name}': use at most {_LONGEST_NAME} lower-case letters, digits and hyphens, "
                "starting with a letter"
            )


@dataclass(frozen=True)
class Deployment:
    """A service that was ready and has answered the smoke request."""

    url: str  # takes requests of the V1 protocol
    revision: str  # the model version that answered
