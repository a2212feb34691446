"""Options that the two serving commands share."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import click

from container_component_src.cli.options import WholeNumber

F = TypeVar("F", bound=Callable[..., Any])

# KServe appends arguments of its own, spelled with underscores; those without an option here it parses itself.
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client looks for it when it is imported
KSERVE_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}


def server_options(command: F) -> F:
    """What every server is told: bundle, name, ports and limit."""
    for option in (
        click.option(
            "--workers", type=WholeNumber(1), default=1, show_default=True, help="Processes that answer HTTP requests."
        ),
        click.option(
            "--max-body-mib",
            type=WholeNumber(1),
            default=64,
            show_default=True,
            help="Largest body of a request over HTTP, in MiB.",
        ),
        click.option(
            "--grpc-port",
            "--grpc_port",
            type=WholeNumber(1),
            help="Port of gRPC; 8081 beside HTTP port 8080, and no gRPC beside another one.",
        ),
        click.option(
            "--http-port",
            "--http_port",
            type=WholeNumber(1),
            default=8080,
            show_default=True,
            help="Port to listen on.",
        ),
        click.option(
            "--model-name", "--model_name", default="model", show_default=True, help="Name of the model in the URL."
        ),
        click.option(
            "--model-dir",
            "--model_dir",
            default="/mnt/models",
            show_default=True,
            help="The model bundle: a folder or its URI.",
        ),
    ):
        command = option(command)
    return command


def top_channels_option(command: F) -> F:
    """`--top-channels`."""
    return click.option(
        "--top-channels",
        type=WholeNumber(1),
        default=5,
        show_default=True,
        help="Contributing channels that an answer names per row.",
    )(command)


def start(part: str, max_body_mib: int, workers: int, **options: Any) -> None:
    """Serve until the process is told to stop.

    Args:
        part: Which of the parts the server is.
        max_body_mib: As on the command line.
        workers: As on the command line, where KServe reads it once more.
        options: The rest of the options.
    """
    from container_component_src.scratch import scratch_directory
    from container_component_src.serving.server.roles import MEBIBYTE, Role, ServingOptions, load

    serving = ServingOptions(role=Role(part), max_body_bytes=max_body_mib * MEBIBYTE, **options)
    load(serving)  # before KServe is imported, which takes seconds, so that a broken bundle is reported at once
    with ExitStack() as stack:
        if workers > 1:  # their metrics are added up through files
            os.environ[METRICS_FOLDER] = str(stack.enter_context(scratch_directory()))
        from container_component_src.serving.server.server import serve

        serve(serving)
