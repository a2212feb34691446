"""`query_model`."""

import sys
from typing import TYPE_CHECKING

import click

from container_component_src.cli.options import POSITIVE, WholeNumber, timestamp_col_option

if TYPE_CHECKING:
    from container_component_src.serving.client.query import Answered

TOKEN_VARIABLE = "QUERY_MODEL_TOKEN"  # noqa: S105 - the name of it
SHOWN_ROWS = 20


@click.command()
@click.option("--url", required=True, help="Address of the service, or of the gateway with the path before /v2.")
@click.option("--model-name", default="columbus-eclss-ad", show_default=True, help="Name of the model.")
@click.option("--host", default="", help="Host header: the name of the service behind a gateway.")
@click.option("--ca-file", default="", help="Certificates to trust, as PEM; those of the system by default.")
@click.option("--input", "source", default="-", show_default=True, help="Telemetry in engineering units; - is stdin.")
@click.option(
    "--input-format",
    type=click.Choice(["parquet", "csv", "json"]),
    default=None,
    help="Format of the input; told from the content by default.",
)
@click.option("--output", default="", help="Parquet file for the answers; without it a table is printed.")
@click.option("--batch-rows", type=WholeNumber(1), default=1000, show_default=True, help="Rows of a request.")
@click.option("--skip-missing", is_flag=True, help="Leave out rows in which a value is missing.")
@click.option("--alarms-only", is_flag=True, help="Print rows with an alarm only.")
@click.option("--rows", "shown_rows", type=WholeNumber(1), default=SHOWN_ROWS, show_default=True, help="Rows to print.")
@click.option("--timeout", type=POSITIVE, default=60.0, show_default=True, help="Seconds to wait for an answer.")
@timestamp_col_option
def query_model(
    url: str,
    model_name: str,
    host: str,
    ca_file: str,
    source: str,
    input_format: str | None,
    output: str,
    batch_rows: int,
    skip_missing: bool,
    alarms_only: bool,
    shown_rows: int,
    timeout: float,
    timestamp_col: str,
) -> None:
    """Have a served model score telemetry; a bearer token is read from the variable QUERY_MODEL_TOKEN."""
    import os

    from container_component_src.credentials import header_value
    from container_component_src.serving.client import query
    from container_component_src.serving.client.model_client import Access, ModelClient
    from container_component_src.serving.client.query_output import Printed, progress

    token = header_value(os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE)
    asked = query.Query(source, input_format or "", timestamp_col, batch_rows, skip_missing)
    printed = Printed(shown_rows, alarms_only)
    with ModelClient(Access(url, model_name, host, token, ca_file, timeout)) as client, progress(sys.stderr) as moved:

        def seen(batch: "Answered") -> None:
            moved(batch.rows_read, batch.rows_known)
            printed.add(batch)

        answers = query.ask(client, asked)
        if output:
            query.write(answers, output, seen)
        else:
            for batch in answers:
                seen(batch)
    click.echo(printed.summary(output) if output else printed.table())
