"""How both serving commands start."""

from contextlib import ExitStack
from dataclasses import replace

from container_component_src.steps.serving import Server


def start(role: str, arguments: Server, predictor_host: str = "") -> None:
    """Serve until the process is told to stop.

    Args:
        role: Role of the server.
        arguments: Options of every server. KServe reads `workers` from the command line itself.
        predictor_host: Host of the predictor of a transformer, or host:port.
    """
    from container_component_src.scratch import scratch_directory
    from container_component_src.serving.server.roles import MEBIBYTE, Role, ServingOptions, load

    serving = ServingOptions(
        role=Role(role),
        model_dir=arguments.model_dir,
        model_name=arguments.model_name,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        predictor_host=predictor_host,
        top_channels=arguments.top_channels,
        max_body_bytes=arguments.max_body_mib * MEBIBYTE,
    )
    load(serving)  # KServe takes seconds to import; a damaged bundle is reported before that
    with ExitStack() as stack:
        if arguments.workers > 1:  # the workers add up their metrics through files
            serving = replace(serving, metrics_folder=str(stack.enter_context(scratch_directory())))
        from container_component_src.serving.server.server import serve

        serve(serving)
