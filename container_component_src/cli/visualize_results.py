"""`visualize_results`: the evaluation as a report to read."""

import click

from container_component_src.cli.options import executor_input_option


@click.command()
@click.option("--scores-path", required=True, help="The dataset of scores that the evaluation wrote.")
@click.option("--evaluation-path", required=True, help="JSON file of the evaluation.")
@click.option("--bundle-path", required=True, help="The model bundle that was evaluated.")
@click.option("--trials-path", default="", help="CSV table of the tuning trials, if there was a tuning.")
@click.option("--report-path", required=True, help="HTML file of the report.")
@executor_input_option
def visualize_results(
    scores_path: str,
    evaluation_path: str,
    bundle_path: str,
    trials_path: str,
    report_path: str,
    executor_input: str,
) -> None:
    """Write one HTML file that needs no network."""
    from container_component_src import outputs
    from container_component_src.evaluation.report import write_report

    summary = write_report(scores_path, evaluation_path, bundle_path, trials_path, report_path)
    outputs.publish(executor_input, artifacts={"report": summary})
