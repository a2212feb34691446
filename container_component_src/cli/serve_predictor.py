"""`serve_predictor`."""

from typing import Any

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options, start, top_channels_option


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
@click.option("--combined", is_flag=True, help="Take and answer what a transformer does, in this one process.")
@top_channels_option
def serve_predictor(combined: bool, **options: Any) -> None:
    """Serve a model bundle: scaled rows in, scores and their parts per channel out (KServe V1 and V2 protocols)."""
    start("combined" if combined else "predictor", **options)
