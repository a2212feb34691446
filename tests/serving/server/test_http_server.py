import sys
from unittest import mock

from uvicorn import Config

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server.http_server import StoppableServer


def test_others_hear_when_a_server_begins_to_stop() -> None:
    heard: list[int] = []
    server = StoppableServer(Config("app"))
    server.on_stop = heard.append
    server.handle_exit(15, None)
    assert heard == [15]
    assert server.should_exit
