"""Code that `serve_predictor` and `serve_transformer` share."""

from contextlib import ExitStack
from typing import Literal

import click

from container_component_src.steps.serving import Server


def serve(arguments: Server, role: Literal["predictor", "transformer", "combined"], predictor_host: str = "") -> None:
    """Serve until the process is told to stop.

    Args:
        arguments: Arguments of the server. KServe reads `workers` from the command line again.
        role: Role of the server.
        predictor_host: Host of a transformer's predictor, or host:port.
    """
    from container_component_src.scratch import scratch_directory
    from container_component_src.serving.server.roles import Role, ServingOptions, load

    with ExitStack() as stack:
        # Worker processes add up their metrics through files.
        folder = str(stack.enter_context(scratch_directory())) if arguments.workers > 1 else ""
        options = ServingOptions(Role(role), arguments, predictor_host, folder)
        load(options)  # KServe takes seconds to import; a damaged bundle is reported before that
        from container_component_src.serving.server import server

        server.serve(options, click.get_current_context().args)
