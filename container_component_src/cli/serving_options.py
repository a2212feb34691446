"""Options that the two serving commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from container_component_src.cli.options import WholeNumber

F = TypeVar("F", bound=Callable[..., Any])

# KServe appends arguments of its own, spelled with underscores; those without an option here it parses itself.
KSERVE_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}


def server_options(command: F) -> F:
    """`--model-dir`, `--model-name` and `--http-port`."""
    for option in (
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
            "--model-dir", default="/mnt/models", show_default=True, help="The model bundle: a folder or its URI."
        ),
    ):
        command = option(command)
    return command
