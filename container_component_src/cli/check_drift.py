"""`check_drift`: whether telemetry still looks like that of the training."""

import click

from container_component_src.cli.declared import step_command
from container_component_src.steps.drift import CheckDrift, DriftLimits

EXCEEDED = 3  # exit code


@step_command(CheckDrift)
def check_drift(arguments: CheckDrift) -> None:
    """Compare telemetry with the training data of a model. The exit code is 3 if the limits are exceeded."""
    import time

    from container_component_src import storage
    from container_component_src.drift import metrics
    from container_component_src.drift.detection import count_rows, make_report
    from container_component_src.drift.summary import summary
    from container_component_src.model.bundle_info import open_info
    from container_component_src.report.drift_page import write_drift_page
    from container_component_src.serving.client.period import TelemetryOfPeriod

    for target in filter(None, (arguments.output, arguments.page)):
        storage.resolve(target).check_output()
    info = open_info(arguments.bundle_path)
    telemetry = TelemetryOfPeriod.of(arguments, info)
    rows = telemetry.pieces()
    if info.calibration and not (arguments.skip_scores or telemetry.logged):
        from container_component_src.drift.scoring import with_scores
        from container_component_src.model.bundle import Bundle

        rows = with_scores(Bundle.load(arguments.bundle_path).for_many_rows(), rows)
    comparison = count_rows(info, rows)
    report = make_report(info, comparison, arguments.part(DriftLimits))
    if arguments.output:
        report.write(arguments.output)
    if arguments.page:
        write_drift_page(report, comparison, info, arguments.page)
    click.echo(summary(report))
    if arguments.pushgateway:
        metrics.push(report, arguments.pushgateway, arguments.service_name, time.time())
    if report.exceeded:
        click.get_current_context().exit(EXCEEDED)
