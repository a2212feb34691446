"""`doctor`: check that everything is as the pipeline needs it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from container_component_src.cli.options import JsonValue, backend_option, namespace_option, timestamp_col_option
from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from container_component_src.maintenance.checks import Check

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@click.option("--archives-path", default="", help="Folder or prefix with the parquet archives; not checked if empty.")
@click.option("--reports-path", default="", help="The anomaly reports; not checked if empty.")
@click.option(
    "--report-columns",
    type=JsonValue(dict),
    default="{}",
    help="Headers of the report table that differ from the Columbus ones: JSON with id, symbol, title, start, end.",
)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path),
    default="local_data",
    show_default=True,
    help="Where local runs write.",
)
@namespace_option
@click.option("--image", default="", help="Of the steps, on a cluster; no pod is tried if empty.")
@click.option("--s3-secret", default=PodSettings().s3_secret, show_default=True, help="Of the steps, on a cluster.")
@click.option("--service-account", default="", help="Of the steps, on a cluster; your own rights are checked if empty.")
@click.option("--pull-image", is_flag=True, help="Start a pod of the image that looks for the inputs from there.")
@click.option("--data-root", default="", help="Where the datasets of runs go; a small file is written there.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration whose [resources] are compared with the quotas of the namespace.",
)
@timestamp_col_option
@backend_option
def doctor(
    archives_path: str,
    reports_path: str,
    report_columns: dict[str, Any],
    work_dir: Path,
    namespace: str,
    image: str,
    s3_secret: str,
    service_account: str,
    pull_image: bool,
    data_root: str,
    config_file: Path | None,
    timestamp_col: str,
    backend_name: str,
) -> None:
    """Check this machine or a namespace of a cluster, the store and the data, and say how to fix what is wrong."""
    from container_component_src.backends.base import get_backend
    from container_component_src.maintenance.input_checks import Inputs
    from container_component_src.steps.data import ReportColumns
    from container_component_src.values import validated

    columns = validated(ReportColumns, report_columns, "--report-columns")
    inputs = Inputs(archives_path, reports_path, timestamp_col, columns, data_root)
    values = {"namespace": namespace, "image": image, "s3_secret": s3_secret, "service_account": service_account}
    backend = get_backend(backend_name, validated(PodSettings, values, "options"))
    report(backend.check(inputs, work_dir, pull_image, config_file))


def report(checks: "list[Check]") -> None:
    """Print checks as a table.

    Raises:
        StepError: One of them says that a run cannot succeed.
    """
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from container_component_src.errors import StepError

    table = Table("check", "", Column("detail", overflow="fold"), Column("fix", overflow="fold"))
    for check in checks:
        fix = "" if check.ok else check.fix
        table.add_row(check.name, Text(check.state, _COLOURS[check.state]), Text(check.detail), Text(fix))
    Console().print(table)
    failed = [check.name for check in checks if check.failed]
    if failed:
        raise StepError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}; do what the table says")
