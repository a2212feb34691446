"""`query_model`: the scores of a served model for a file of telemetry."""

import os
import sys
from typing import TYPE_CHECKING

import click

from container_component_src.cli.declared import step_command
from container_component_src.steps.serving import QueryModel

if TYPE_CHECKING:
    from container_component_src.serving.client.query import Answered

TOKEN_VARIABLE = "QUERY_MODEL_TOKEN"  # noqa: S105 - its name, not a token


@step_command(QueryModel)
def query_model(arguments: QueryModel) -> None:
    """Have a served model score telemetry. The variable QUERY_MODEL_TOKEN may hold a bearer token."""
    from container_component_src.alarms.files import write_alarms
    from container_component_src.credentials import header_value
    from container_component_src.serving.client import query
    from container_component_src.serving.client.answer_files import write
    from container_component_src.serving.client.model_client import ModelClient
    from container_component_src.serving.client.query_output import Summary, progress

    token = header_value(os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE)
    summary = Summary(arguments)
    with ModelClient(arguments, token) as client, progress(sys.stderr) as advance:

        def seen(batch: "Answered") -> None:
            advance(batch.rows_read, batch.rows_known)
            summary.add(batch)

        answers = query.ask(client, arguments)
        if arguments.output:
            write(answers, arguments.output, seen)
        else:
            for batch in answers:
                seen(batch)
    if arguments.alarms:
        write_alarms(arguments.alarms, summary.alarms)
    click.echo(summary.text())
