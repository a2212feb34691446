"""`serve_transformer`: a server that takes telemetry and has a predictor score it."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.serving import serve
from container_component_src.steps.serving import ServeTransformer


@step_command(ServeTransformer, passed_on=True)
def serve_transformer(arguments: ServeTransformer) -> None:
    """Serve raw telemetry: answer engineering units with scores, alarms and their channels (KServe V1 and V2)."""
    serve(arguments, "transformer", arguments.predictor_host)
