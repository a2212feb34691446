"""Options that `serve_predictor` and `serve_transformer` share."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

import click

from container_component_src.cli.options import WholeNumber

F = TypeVar("F", bound=Callable[..., Any])

# KServe appends arguments of its own, spelled with underscores. It parses those that have no option here itself.
KSERVE_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}

_OPTIONS = (
    click.option(
        "--model-dir",
        "--model_dir",
        default="/mnt/models",
        show_default=True,
        help="Model bundle: a folder or its URI.",
    ),
    click.option(
        "--model-name", "--model_name", default="model", show_default=True, help="Name of the model in the URL."
    ),
    click.option(
        "--http-port", "--http_port", type=WholeNumber(1), default=8080, show_default=True, help="Port to listen on."
    ),
    click.option(
        "--grpc-port",
        "--grpc_port",
        type=WholeNumber(1),
        help="Port for gRPC. By default 8081 if the HTTP port is 8080, otherwise the server has no gRPC.",
    ),
    click.option(
        "--max-body-mib",
        type=WholeNumber(1),
        default=64,
        show_default=True,
        help="Maximum size of an HTTP request body, in MiB.",
    ),
    click.option(
        "--workers", type=WholeNumber(1), default=1, show_default=True, help="Number of processes that answer HTTP."
    ),
    click.option(
        "--top-channels",
        type=WholeNumber(1),
        default=5,
        show_default=True,
        help="Number of contributing channels that an answer names per row.",
    ),
)


def server_options(command: F) -> F:
    """Add the options of every server: bundle, name, ports, limits and workers."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def start(role: str, max_body_mib: int, workers: int, **options: Any) -> None:
    """Serve until the process is told to stop.

    Args:
        role: Role of the server.
        max_body_mib: Maximum size of a request body, in MiB.
        workers: Number of processes, which KServe reads from the command line again.
        options: The other options by the names of the fields of `ServingOptions`.
    """
    from container_component_src.scratch import scratch_directory
    from container_component_src.serving.server.roles import MEBIBYTE, Role, ServingOptions, load

    serving = ServingOptions(role=Role(role), max_body_bytes=max_body_mib * MEBIBYTE, **options)
    load(serving)  # KServe takes seconds to import; a damaged bundle is reported before that
    with ExitStack() as stack:
        if workers > 1:  # the workers add up their metrics through files
            serving = replace(serving, metrics_folder=str(stack.enter_context(scratch_directory())))
        from container_component_src.serving.server.server import serve

        serve(serving)
