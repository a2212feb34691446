"""KServe's REST server with limits on slow and large connections, and with refusals of one log line.

Import this module only in a process that serves.
"""

import logging
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import ORJSONResponse, Response
from kserve.protocol.rest import server as rest_server

from container_component_src.serving.server.connections import LimitedConnection
from container_component_src.serving.server.refusals import KSERVE_REFUSALS, message_of, status_of

logger = logging.getLogger(__name__)


class StoppableServer(rest_server._RefreshingServer):
    """An HTTP server that tells others when it begins to stop."""

    on_stop: Callable[[int], None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        super().handle_exit(sig, frame)
        if self.on_stop is not None:
            self.on_stop(sig)


class LimitedRESTServer(rest_server.RESTServer):
    """KServe's REST server with such connections.

    Args:
        read_timeout: Seconds for the headers of a request, and for an answer to be taken.
        arguments: Arguments of the base class.
        options: Options of the base class.
    """

    def __init__(self, *arguments: Any, read_timeout: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.config.http = partial(LimitedConnection, read_timeout=read_timeout)
        self.config.ws = "none"
        self.config.access_log = self.config.proxy_headers = False  # the servers log requests, without the address
        self.config.configure_logging()  # which has looked at `access_log` already
        self._server = StoppableServer(self.config)

    def on_stop(self, stop: Callable[[int], None]) -> None:
        """Have a function called with the signal that stops the server."""
        self._server.on_stop = stop

    def _add_exception_handlers(self, app: FastAPI) -> None:
        super()._add_exception_handlers(app)
        for kind in KSERVE_REFUSALS:
            app.add_exception_handler(kind, _refusal)


async def _refusal(request: Request, error: Exception) -> Response:
    """Answer a refusal, with one log line. KServe's own handlers log a traceback, even for a failed probe."""
    message = message_of(error)
    logger.info("request refused: %s", message)
    return ORJSONResponse({"error": message}, status_of(error))
