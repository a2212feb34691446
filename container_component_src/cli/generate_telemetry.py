"""`generate_telemetry`: example archives and anomaly reports."""

from pathlib import Path

import click

from container_component_src.cli.options import WholeNumber, timestamp_col_option


@click.command()
@click.option(
    "--target-path",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Local folder that receives telemetry/<year>.parquet and anomaly_reports.xlsx.",
)
@click.option("--rows", type=WholeNumber(1), default=1_100_000, show_default=True, help="Rows over all archives.")
@click.option("--channels", type=WholeNumber(1), default=44, show_default=True, help="Float channels.")
@click.option("--anomalies", type=WholeNumber(0), default=28, show_default=True, help="Reported events.")
@click.option("--seed", type=WholeNumber(0), default=42, show_default=True, help="Start of every random stream.")
@timestamp_col_option
def generate_telemetry(
    target_path: Path, rows: int, channels: int, anomalies: int, seed: int, timestamp_col: str
) -> None:
    """Generate two yearly archives of a life-support system and the reports of its anomalies."""
    from container_component_src import outputs
    from container_component_src.example_data import ExampleDataSpec, generate

    spec = ExampleDataSpec(seed=seed, rows=rows, channels=channels, anomalies=anomalies)
    generated = generate(target_path, spec, timestamp_col)
    archives = [str(archive) for archive in generated.archives]
    outputs.publish("", parameters={"archives": archives, "reports": str(generated.reports)})
