"""The server process: how it starts, serves and ends.

KServe reads `sys.argv` when it is imported, so that its own arguments (`--workers`, `--enable_latency_logging`, ...)
need no handling here. Import this module only in a process that is to serve.
"""

import asyncio
import logging
from contextlib import closing

import httpx
from kserve import ModelServer, PredictorConfig, context, model_server
from kserve.errors import InvalidInput
from kserve.model_server import args as kserve_arguments
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from uvicorn.config import STARTUP_FAILURE

from container_component_src.errors import InputError, StepError
from container_component_src.serving.protocol.inputs import RequestError
from container_component_src.serving.protocol.process import GRACE_PERIOD, GRPC_PORT, HTTP_PORT
from container_component_src.serving.server import logs, workers
from container_component_src.serving.server.app import FIXED_MODEL, InferenceApp
from container_component_src.serving.server.model import AnomalyModel
from container_component_src.serving.server.roles import Role, ServingOptions, load

logger = logging.getLogger(__name__)


class FixedRepository(ModelRepositoryExtension):
    """The one model of a server is neither loaded nor unloaded by requests."""

    async def load(self, model_name: str) -> None:
        """Refuse."""
        raise InvalidInput(FIXED_MODEL)

    unload = load


class HonestDataPlane(DataPlane):
    """A server that waits for its predictor is not ready, rather than in error, while that is away."""

    async def ready(self) -> bool:
        """Whether the server can answer."""
        try:
            return bool(await super().ready())
        except httpx.HTTPError:
            return False


def build_model(options: ServingOptions) -> AnomalyModel:
    """Load a model, have it pass a warm-up request, and put the application before KServe's; in every process once.

    Raises:
        InputError: There is no bundle, or it is damaged, or gives no numbers.
    """
    logs.install()
    predictor = _predictor(options)
    service = load(options, predictor.predictor_base_url, predictor.timeout, predictor.retries)
    model = AnomalyModel(service, build_model)
    if not kserve_arguments.enable_latency_logging:
        model.log.level = logging.DEBUG
    try:
        with closing(asyncio.new_event_loop()) as loop:  # asyncio.run would leave none for KServe
            loop.run_until_complete(model.warm_up())
    except RequestError as error:
        raise InputError(
            f"{options.model_dir}: the model scores its own centre as NaN or infinite; train it again ({error})"
        ) from error
    context.set_predictor_config(predictor)
    model_server.app = InferenceApp(model)
    logger.info("model is ready", extra={"fields": {"model": model.name, "version": model.version}})
    return model


def serve(options: ServingOptions) -> None:
    """Serve until the process is told to stop; requests in flight are finished first.

    Raises:
        InputError: There is no bundle, or it is damaged, or gives no numbers.
        StepError: The server could not start.
    """
    model = build_model(options)
    workers.install()
    grpc_port = options.grpc_port or (GRPC_PORT if options.http_port == HTTP_PORT else None)
    server = ModelServer(
        http_port=options.http_port,
        grpc_port=grpc_port or GRPC_PORT,
        enable_grpc=kserve_arguments.enable_grpc and grpc_port is not None,
        grace_period=GRACE_PERIOD,
        predictor_config=model.predictor_config,
    )
    server.dataplane = HonestDataPlane(server.registered_models)
    server.model_repository_extension = FixedRepository(server.registered_models)
    try:
        server.start([model])
    except SystemExit as error:
        if error.code == STARTUP_FAILURE:  # the log says why
            raise StepError(
                f"port {options.http_port}: cannot listen there; free it or choose another --http-port"
            ) from error
        raise
    except RuntimeError as error:
        if "bind" not in str(error).lower():
            raise
        raise StepError(f"gRPC port {grpc_port}: cannot listen there; free it or choose another --grpc-port") from error


def _predictor(options: ServingOptions) -> PredictorConfig:
    return PredictorConfig(
        predictor_host=options.predictor_host or None,
        predictor_protocol="v2",
        predictor_use_ssl=kserve_arguments.predictor_use_ssl,
        predictor_request_timeout_seconds=kserve_arguments.predictor_request_timeout_seconds,
        predictor_request_retries=kserve_arguments.predictor_request_retries,
        predictor_health_check=options.part is Role.TRANSFORMER and kserve_arguments.enable_predictor_health_check,
    )
