"""`serve_transformer`."""

from typing import Any

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options, start, top_channels_option


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
@click.option("--predictor-host", "--predictor_host", required=True, help="Host of the predictor, or host:port.")
@top_channels_option
def serve_transformer(**options: Any) -> None:
    """Serve raw telemetry: engineering units in, scores, alarms and their channels out (KServe V1 and V2 protocols)."""
    start("transformer", **options)
