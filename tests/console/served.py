"""A console that serves a browser from a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from container_component_src.console.access import Access
from container_component_src.console.app import Live, create_app
from container_component_src.console.server import ConsoleServer, server_config
from container_component_src.console.sources import Sources
from tests.console.consoles import arguments


@contextmanager
def served(folder: Path, token: str = "", port: int = 0, **options: Any) -> Iterator[str]:
    """Serve a console whose files are in a folder, and return its address."""
    settings = arguments(folder, **{"poll_seconds": 0.05, **options})
    live = Live(settings, Sources.of(settings), time.time_ns)
    config = server_config(create_app(live, Access(token)), settings)
    config.port = port
    server = ConsoleServer(config, live)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{_port(server, thread)}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def _port(server: uvicorn.Server, thread: threading.Thread) -> int:
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
