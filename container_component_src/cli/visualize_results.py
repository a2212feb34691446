"""`visualize_results`: the evaluation as a report to read."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.evaluation import VisualizeResults


@step_command(VisualizeResults)
def visualize_results(arguments: VisualizeResults, executor_input: str) -> None:
    """Write the report as one HTML file that needs no network."""
    from container_component_src import outputs
    from container_component_src.report.page import write_report

    outputs.publish(executor_input, artifacts={"report": write_report(arguments)})
