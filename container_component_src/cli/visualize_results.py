"""`visualize_results`: the evaluation as a report to read."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import SETS
from container_component_src.steps.evaluation import VisualizeResults


@step_command(VisualizeResults)
def visualize_results(arguments: VisualizeResults, executor_input: str) -> None:
    """Write the report as one HTML file that needs no network."""
    from container_component_src import outputs
    from container_component_src.report.page import Telemetry, write_report

    telemetry = Telemetry(arguments.df_path, {name: getattr(arguments, f"{name}_df_path") for name in SETS})
    summary = write_report(
        telemetry,
        arguments.scores_path,
        arguments.evaluation_path,
        arguments.bundle_path,
        arguments.trials_path,
        arguments.report_path,
    )
    outputs.publish(executor_input, artifacts={"report": summary})
