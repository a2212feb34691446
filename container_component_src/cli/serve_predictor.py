"""`serve_predictor`: a server that scores the rows of a transformer, or does the work of both."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.serving import serve
from container_component_src.steps.serving import ServePredictor


@step_command(ServePredictor, passed_on=True)
def serve_predictor(arguments: ServePredictor) -> None:
    """Serve a model bundle: answer scaled rows with scores and contributions per channel (KServe V1 and V2)."""
    serve(arguments, "combined" if arguments.combined else "predictor")
