"""`doctor`: check that everything is as the pipeline needs it."""

from typing import TYPE_CHECKING

from container_component_src.cli.declared import step_command
from container_component_src.steps.maintenance import Doctor
from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from container_component_src.maintenance.checks import Check

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@step_command(Doctor)
def doctor(arguments: Doctor) -> None:
    """Check this machine or a namespace of a cluster, the store and the data, and say how to fix what is wrong."""
    from container_component_src.backends.base import get_backend
    from container_component_src.maintenance.input_checks import Inputs

    inputs = Inputs(
        arguments.archives_path,
        arguments.reports_path,
        arguments.timestamp_col,
        arguments.report_columns,
        arguments.data_root,
        feedback_path=arguments.feedback_path,
    )
    pods = PodSettings(
        namespace=arguments.namespace,
        image=arguments.image,
        s3_secret=arguments.s3_secret,
        service_account=arguments.service_account,
    )
    backend = get_backend(arguments.backend, pods)
    report(backend.check(inputs, arguments.work_dir, arguments.pull_image, arguments.config))


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
