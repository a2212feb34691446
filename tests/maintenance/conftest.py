"""An emulated cluster for the tests of this folder."""

import socket

import pytest

from tests.backends.kubernetes.deployments import kserve  # noqa: F401
from tests.cluster.conftest import emulator  # noqa: F401


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
