"""`label_telemetry`: label series of a dataset from anomaly reports and verdicts on alarms."""

from container_component_src.cli.declared import step_command
from container_component_src.steps.data import LabelTelemetry


@step_command(LabelTelemetry)
def label_telemetry(arguments: LabelTelemetry, executor_input: str) -> None:
    """Label the rows that lie in a reported anomaly, or in an alarm that operators judged as true."""
    from container_component_src import outputs
    from container_component_src.data_root import place
    from container_component_src.telemetry.labels import label_dataset

    target = place(arguments.labels_path, arguments.data_root, arguments.command, "labels")
    labels = label_dataset(
        arguments.df_path,
        arguments.reports_path,
        target,
        arguments.report_columns,
        arguments.strict_reports,
        arguments.feedback_path,
    )
    outputs.publish(executor_input, datasets={"labels": labels})
