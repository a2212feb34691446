"""The command `serve_transformer`."""

from typing import Any

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options, start


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
@click.option("--predictor-host", "--predictor_host", required=True, help="Host of the predictor, or host:port.")
def serve_transformer(**options: Any) -> None:
    """Serve raw telemetry: answer engineering units with scores, alarms and their channels (KServe V1 and V2)."""
    start("transformer", **options)
