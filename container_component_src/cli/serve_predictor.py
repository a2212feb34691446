"""`serve_predictor`: the server that runs the model."""

from container_component_src.cli.declared import step_command
from container_component_src.cli.serving import start
from container_component_src.steps.serving import ServePredictor


@step_command(ServePredictor, passed_on=True)
def serve_predictor(arguments: ServePredictor) -> None:
    """Serve a model bundle: answer scaled rows with scores and contributions per channel (KServe V1 and V2)."""
    start("combined" if arguments.combined else "predictor", arguments)
