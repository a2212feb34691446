"""`serve_predictor`."""

import click

from container_component_src.cli.serving_options import KSERVE_ARGUMENTS, server_options


@click.command(context_settings=KSERVE_ARGUMENTS)
@server_options
def serve_predictor(model_dir: str, model_name: str, http_port: int) -> None:
    """Serve a model bundle: scaled rows in, scores and their parts per channel out (KServe V1 protocol)."""
    from container_component_src.model.bundle import Bundle

    bundle = Bundle.load(model_dir)  # before KServe is imported, so that a broken bundle is reported at once
    from container_component_src.serving.predictor import serve_bundle

    serve_bundle(bundle, model_name, http_port)
