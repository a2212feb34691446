"""The command `serve_predictor`."""

from typing import Any

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options, start


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
@click.option("--combined", is_flag=True, help="Do the work of the transformer in this process, too.")
def serve_predictor(combined: bool, **options: Any) -> None:
    """Serve a model bundle: answer scaled rows with scores and contributions per channel (KServe V1 and V2)."""
    start("combined" if combined else "predictor", **options)
