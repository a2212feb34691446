"""`visualize_results`: the evaluation as a report to read."""

import click

from container_component_src.cli.options import executor_input_option


@click.command()
@click.option("--df-path", required=True, help="The dataset that was split.")
@click.option("--train-df-path", required=True, help="Its training part, before scaling.")
@click.option("--val-df-path", required=True, help="Its validation part, before scaling.")
@click.option("--test-df-path", required=True, help="Its test part, before scaling.")
@click.option("--scores-path", required=True, help="The dataset of scores that the evaluation wrote.")
@click.option("--evaluation-path", required=True, help="JSON file of the evaluation.")
@click.option("--bundle-path", required=True, help="The model bundle that was evaluated.")
@click.option("--trials-path", default="", help="CSV table of the tuning trials, if there was a tuning.")
@click.option("--report-path", required=True, help="HTML file of the report.")
@executor_input_option
def visualize_results(
    df_path: str,
    train_df_path: str,
    val_df_path: str,
    test_df_path: str,
    scores_path: str,
    evaluation_path: str,
    bundle_path: str,
    trials_path: str,
    report_path: str,
    executor_input: str,
) -> None:
    """Write one HTML file that needs no network."""
    from container_component_src import outputs
    from container_component_src.report.page import Telemetry, write_report

    telemetry = Telemetry(df_path, train_df_path, val_df_path, test_df_path)
    summary = write_report(telemetry, scores_path, evaluation_path, bundle_path, trials_path, report_path)
    outputs.publish(executor_input, artifacts={"report": summary})
