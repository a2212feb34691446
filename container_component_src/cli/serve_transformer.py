"""`serve_transformer`."""

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
@click.option("--predictor-host", "--predictor_host", required=True, help="Host of the predictor, or host:port.")
def serve_transformer(model_dir: str, model_name: str, http_port: int, predictor_host: str) -> None:
    """Serve raw telemetry: engineering units in, scores, alarms and their channels out (KServe V1 protocol)."""
    from container_component_src.model.bundle_info import open_info

    info = open_info(model_dir)  # before KServe is imported, so that a broken bundle is reported at once
    from container_component_src.serving.transformer import serve_info

    serve_info(info, model_name, http_port, predictor_host)
