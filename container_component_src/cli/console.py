"""`console`: a page on which operators see alarms and say what they were."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.console import Console


@step_command(Console)
def console(arguments: Console) -> None:
    """Serve the operator's console: live alarms, measured beside expected values, drift, and buttons for verdicts."""
    from container_component_src.console.server import serve

    serve(arguments)
