"""`doctor`: check that everything is as the pipeline needs it."""

from pathlib import Path

import click

from container_component_src.cli.options import backend_option, timestamp_col_option


@click.command()
@click.option("--archives-path", default="", help="Folder or prefix with the parquet archives; not checked if empty.")
@click.option("--reports-path", default="", help="The anomaly reports; not checked if empty.")
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path),
    default="local_data",
    show_default=True,
    help="Where local runs write.",
)
@timestamp_col_option
@backend_option
def doctor(archives_path: str, reports_path: str, work_dir: Path, timestamp_col: str, backend_name: str) -> None:
    """Check this machine, the store and the data, and say what to do about what is wrong."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from container_component_src.errors import InputError, StepError
    from container_component_src.maintenance.doctor import run_checks

    if backend_name == "kubernetes":
        raise InputError("doctor checks this machine, its store and data; for a cluster see docs/cluster.md")
    checks = run_checks(archives_path, reports_path, work_dir, timestamp_col)
    table = Table("check", "", Column("detail", overflow="fold"), Column("mend", overflow="fold"))
    for check in checks:
        status = Text("ok", "green") if check.ok else Text("failed", "red")
        table.add_row(check.name, status, Text(check.detail), Text("" if check.ok else check.mend))
    Console().print(table)
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise StepError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}; do what the table says")
