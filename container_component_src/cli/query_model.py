"""`query_model`: a file of telemetry scored by a served model."""

import sys
from typing import TYPE_CHECKING

import click

from container_component_src.cli.declared import step_command
from container_component_src.steps.serving import QueryModel

if TYPE_CHECKING:
    from container_component_src.serving.client.query import Answered

TOKEN_VARIABLE = "QUERY_MODEL_TOKEN"  # noqa: S105 - the name of the variable


@step_command(QueryModel)
def query_model(arguments: QueryModel) -> None:
    """Score telemetry with a served model; the variable QUERY_MODEL_TOKEN may hold a bearer token."""
    import os

    from container_component_src.credentials import header_value
    from container_component_src.serving.client import query
    from container_component_src.serving.client.model_client import Access, ModelClient
    from container_component_src.serving.client.query_output import Printed, progress

    token = header_value(os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE)
    access = Access(arguments.url, arguments.model_name, arguments.host, token, arguments.ca_file, arguments.timeout)
    asked = query.Query(
        arguments.input,
        arguments.input_format or "",
        arguments.timestamp_col,
        arguments.batch_rows,
        arguments.skip_missing,
    )
    printed = Printed(arguments.rows, arguments.alarms_only)
    with ModelClient(access) as client, progress(sys.stderr) as moved:

        def seen(batch: "Answered") -> None:
            moved(batch.rows_read, batch.rows_known)
            printed.add(batch)

        answers = query.ask(client, asked)
        if arguments.output:
            query.write(answers, arguments.output, seen)
        else:
            for batch in answers:
                seen(batch)
    click.echo(printed.summary(arguments.output) if arguments.output else printed.table())
