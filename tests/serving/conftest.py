"""Servers for the tests of several modules: a predictor with its transformer, and a combined server."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.model.bundle import Bundle
from tests.serving.bundles import make_bundle

MODEL = "eclss"


@dataclass(frozen=True)
class Server:
    """A running server, and a client for it."""

    client: httpx.Client
    port: int
    grpc_port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


@dataclass(frozen=True)
class Service:
    """The servers of one bundle."""

    bundle: Bundle
    folder: str  # of the bundle
    predictor: Server
    transformer: Server
    combined: Server


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = str(tmp_path_factory.mktemp("service") / "bundle")
    bundle = make_bundle(Path(folder), smoothing_window=5, window_steps=2)
    ports = free_ports(6)

    def command(name: str, grpc_port: int, *arguments: str) -> tuple[str, ...]:
        return (name, "--model_dir", folder, "--model_name", MODEL, "--grpc_port", str(grpc_port), *arguments)

    commands = {
        ports[0]: command("serve_predictor", ports[3]),
        ports[1]: command("serve_transformer", ports[4], "--predictor_host", f"{LOOPBACK}:{ports[0]}"),
        ports[2]: command("serve_predictor", ports[5], "--combined"),
    }
    with running(commands) as processes, httpx.Client(trust_env=False, timeout=120) as client:
        wait_until_ready(processes, MODEL, 120, client)
        servers = [Server(client, http, grpc) for http, grpc in zip(ports[:3], ports[3:], strict=True)]
        yield Service(bundle, folder, *servers)
