"""The server process: how it starts, serves and ends. Import this module only in a process that serves."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from contextlib import closing

from kserve import PredictorConfig, context
from uvicorn.config import STARTUP_FAILURE

from container_component_src.errors import InputError, StepError
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.process import GRPC_PORT
from container_component_src.serving.server import kserve_hooks, logs
from container_component_src.serving.server.app import InferenceApp
from container_component_src.serving.server.model import AnomalyModel
from container_component_src.serving.server.roles import Role, ServingOptions, load
from container_component_src.steps.serving import HTTP_PORT

logger = logging.getLogger(__name__)


def build_model(options: ServingOptions) -> AnomalyModel:
    """Load the model, warm it up and install the application that serves it. Every process does this once.

    Raises:
        InputError: The bundle is missing or damaged, the model computes no numbers, or the payload log cannot be used.
        StepError: The installed KServe is not the one that this code is written for.
    """
    logs.install()
    predictor = _predictor(options)
    service = load(options, predictor.predictor_base_url, predictor.timeout, predictor.retries)
    model = AnomalyModel(service, build_model)
    if not kserve_hooks.ARGUMENTS.enable_latency_logging:
        model.log.level = logging.DEBUG
    try:
        with closing(asyncio.new_event_loop()) as loop:  # asyncio.run would leave none for KServe
            loop.run_until_complete(model.warm_up())
    except RequestError as error:
        raise InputError(
            f"{options.arguments.model_dir}: the model scores its own centre as NaN or infinite ({error})",
            fix="train it again",
        ) from error
    model.log_payloads()
    context.set_predictor_config(predictor)
    kserve_hooks.install(
        InferenceApp(model),
        read_timeout=options.arguments.read_timeout,
        most_calls=model.admission.most_requests,
        most_fields=4 * service.most_inputs,  # an input has two, and there are outputs and parameters
    )
    gc.collect()
    gc.freeze()  # otherwise every search for garbage goes through all modules of PyTorch: tenths of a second
    logger.info("model is ready", extra={"model": model.name, "version": model.version})
    return model


def serve(options: ServingOptions, passed_on: Sequence[str] = ()) -> None:
    """Serve until the process is told to stop; finish the requests in flight first.

    Args:
        options: Options of the server.
        passed_on: Options of the command line that are KServe's. Those that it does not know are ignored with a
            warning: a newer control plane may give them to its containers.

    Raises:
        InputError: The bundle is missing or damaged, or the model computes no numbers.
        StepError: The server cannot start.
    """
    model = build_model(options)
    if unknown := kserve_hooks.unknown_options(passed_on):
        logger.warning("ignored, as neither this server nor KServe has such an option: %s", " ".join(unknown))
    http_port = options.arguments.http_port
    grpc_port = options.arguments.grpc_port or (GRPC_PORT if http_port == HTTP_PORT else None)
    server = kserve_hooks.StoppableModelServer(
        http_port=http_port,
        grpc_port=grpc_port or GRPC_PORT,
        enable_grpc=kserve_hooks.ARGUMENTS.enable_grpc and grpc_port is not None,
        predictor_config=model.predictor_config,
    )
    try:
        server.start([model])
    except SystemExit as error:
        if error.code == STARTUP_FAILURE:  # uvicorn has logged the reason
            raise StepError(
                f"port {http_port}: cannot listen there", fix="free it or choose another --http-port"
            ) from error
        raise
    except RuntimeError as error:
        if "bind" not in str(error).lower():
            raise
        raise StepError(
            f"gRPC port {grpc_port}: cannot listen there", fix="free it or choose another --grpc-port"
        ) from error
    finally:
        model.close_payload_log()  # of gRPC, which this process serves even if others serve HTTP


def _predictor(options: ServingOptions) -> PredictorConfig:
    arguments = kserve_hooks.ARGUMENTS
    return PredictorConfig(
        predictor_host=options.predictor_host or None,
        predictor_protocol="v2",
        predictor_use_ssl=arguments.predictor_use_ssl,
        predictor_request_timeout_seconds=arguments.predictor_request_timeout_seconds,
        predictor_request_retries=arguments.predictor_request_retries,
        predictor_health_check=options.role is Role.TRANSFORMER and arguments.enable_predictor_health_check,
    )
