"""`score_stream`: the alarms in telemetry as it comes."""

import asyncio
import logging
import os
import sys

from container_component_src.cli.declared import step_command
from container_component_src.steps.streaming import STD, ScoreStream


@step_command(ScoreStream)
def score_stream(arguments: ScoreStream) -> None:
    """Score telemetry as it comes, and write the events of alarms.

    Credentials are in variables: SCORE_STREAM_TOKEN (bearer token of the service), SCORE_STREAM_USER and
    SCORE_STREAM_PASSWORD (of the brokers), and SCORE_STREAM_WEBHOOK_TOKEN (bearer token of the webhook).
    """
    from container_component_src.stream.connections import run

    if arguments.alarms == STD:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)
    asyncio.run(run(arguments, os.environ))
