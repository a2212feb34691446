"""`label_telemetry`: label series of a dataset from anomaly reports."""

from typing import Any

import click

from container_component_src.cli.options import JsonValue, data_root_option, executor_input_option


@click.command()
@click.option("--df-path", required=True, help="The dataset.")
@click.option("--reports-path", required=True, help="The anomaly reports (.xls, .xlsx or .csv).")
@click.option("--labels-path", required=True, help="Folder of the label series; emptied first.")
@data_root_option
@click.option(
    "--report-columns",
    type=JsonValue(dict),
    default="{}",
    help="Headers of the report table that differ from the Columbus ones: JSON with id, symbol, title, start, end.",
)
@click.option(
    "--strict-reports",
    type=bool,
    default=True,
    show_default=True,
    help="Whether overlapping events, and events outside the data, are errors.",
)
@executor_input_option
def label_telemetry(
    df_path: str,
    reports_path: str,
    labels_path: str,
    data_root: str,
    report_columns: dict[str, Any],
    strict_reports: bool,
    executor_input: str,
) -> None:
    """Mark the rows that lie in a reported anomaly."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.settings import ReportColumns
    from container_component_src.telemetry.labels import label_dataset
    from container_component_src.values import validated

    columns = validated(ReportColumns, report_columns, "--report-columns")
    target = place(labels_path, data_root, "label_telemetry", "labels")
    labels = label_dataset(df_path, reports_path, target, columns, strict_reports)
    outputs.publish(executor_input, datasets={"labels": labels})
