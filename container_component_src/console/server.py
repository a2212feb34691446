"""The server of the console."""

import asyncio
import logging
import os
import socket
import time
from functools import partial
from typing import cast

import uvicorn
from fastapi import FastAPI

from container_component_src.console.access import Access, read_token
from container_component_src.console.app import Live, create_app
from container_component_src.console.guard import READ_SECONDS
from container_component_src.console.sources import Sources
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import open_info
from container_component_src.report.signals import training_ranges
from container_component_src.serving.server.connections import LimitedConnection
from container_component_src.steps.console import Console

MOST_CONNECTIONS = 256
_SHUTDOWN_SECONDS = 5

logger = logging.getLogger(__name__)


def serve(arguments: Console) -> None:
    """Serve the console until the process is told to stop.

    Raises:
        InputError: There is no token although other machines reach the console, the bundle is damaged, or the port is
            taken.
    """
    access = Access(read_token(arguments, os.environ))
    ranges = training_ranges(open_info(arguments.bundle)) if arguments.bundle else {}
    live = Live(arguments, Sources.of(arguments), time.time_ns, ranges)
    config = server_config(create_app(live, access), arguments)
    sock = _listening(arguments)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    logger.info("operator's console at http://%s:%d%s", host, arguments.port, ", with a token" if access.needed else "")
    ConsoleServer(config, live).run([sock])


def server_config(app: FastAPI, arguments: Console) -> uvicorn.Config:
    """Return the settings of the server."""
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(LimitedConnection, read_timeout=READ_SECONDS)),
        host=arguments.host,
        port=arguments.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def _listening(arguments: Console) -> socket.socket:
    address = (arguments.host, arguments.port)
    try:
        return socket.create_server(address, family=socket.AF_INET6 if ":" in arguments.host else socket.AF_INET)
    except OSError as error:
        problem = f"--host {arguments.host} --port {arguments.port}: nothing can listen there ({error.strerror})"
        raise InputError(problem, fix="choose another --port") from error


class ConsoleServer(uvicorn.Server):
    """A server that ends the streams of events when it stops; it would wait for them.

    Args:
        config: Its settings.
        live: What the routes work with.
    """

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._live.hub.close()
        await super().shutdown(sockets)
