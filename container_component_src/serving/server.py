"""The model server of both services: how errors become HTTP statuses, and how the process starts and ends.

KServe reads `sys.argv` when it is imported, so that its own arguments (`--workers`, `--enable_latency_logging`, ...)
need no handling here. Import this module only in a process that is to serve.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from kserve import Model, ModelServer, PredictorConfig
from kserve.errors import InvalidInput, ServerNotReady
from kserve.model import InferenceVerb
from kserve.model_server import args as kserve_arguments
from uvicorn.config import STARTUP_FAILURE

from container_component_src.errors import StepError
from container_component_src.serving.inputs import RequestError


class PredictorError(Exception):
    """The predictor's answer cannot be used."""


class AnomalyModel(Model):  # type: ignore[misc]  # kserve has no types
    """A KServe model whose errors are answered as 400 (the request is at fault) or 503 (the predictor is)."""

    async def __call__(
        self, body: Any, headers: dict[str, str] | None = None, verb: InferenceVerb = InferenceVerb.PREDICT
    ) -> Any:
        """Answer one request."""
        with _http_errors():
            return await super().__call__(body, headers, verb)


def serve(model: AnomalyModel, http_port: int, predictor_host: str | None = None) -> None:
    """Serve a loaded model over HTTP until the process is told to stop; requests in flight are finished first.

    Args:
        model: The model; it is ready from the first request on.
        http_port: Port on all interfaces.
        predictor_host: For a transformer: `host` or `host:port` of its predictor.

    Raises:
        StepError: The server could not start.
    """
    predictor = PredictorConfig(
        predictor_host=predictor_host,
        predictor_use_ssl=kserve_arguments.predictor_use_ssl,
        predictor_request_timeout_seconds=kserve_arguments.predictor_request_timeout_seconds,
        predictor_request_retries=kserve_arguments.predictor_request_retries,
        predictor_health_check=kserve_arguments.enable_predictor_health_check,
    )
    server = ModelServer(http_port=http_port, enable_grpc=False, predictor_config=predictor)
    try:
        server.start([model])
    except SystemExit as error:
        if error.code == STARTUP_FAILURE:  # the log says why
            raise StepError(f"port {http_port}: cannot listen there; free it or choose another --http-port") from error
        raise


@contextmanager
def _http_errors() -> Iterator[None]:
    """The one place where errors become those that KServe knows a status for."""
    try:
        yield
    except RequestError as error:
        raise InvalidInput(str(error)) from error
    except httpx.HTTPStatusError as error:
        reason = f"The predictor answers {error.response.status_code} to the scaled rows: {error.response.text[:500]}"
        # Any other status (no such model, access denied, ...) is not for the one who sent the rows to mend.
        if error.response.status_code == httpx.codes.BAD_REQUEST:
            raise InvalidInput(reason) from error
        raise ServerNotReady(reason) from error
    except httpx.HTTPError as error:
        raise ServerNotReady(f"The predictor does not answer ({type(error).__name__}: {error}).") from error
    except PredictorError as error:
        raise ServerNotReady(str(error)) from error
