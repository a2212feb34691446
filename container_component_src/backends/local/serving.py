"""Deployment on this machine: the commands of the InferenceService's two containers, run as processes and tested.

Both are stopped again once the service has passed its smoke test.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx
import psutil

from container_component_src import storage
from container_component_src.errors import StepError
from container_component_src.scratch import scratch_directory
from container_component_src.serving.service import Deployment, Service
from container_component_src.serving.smoke import smoke_test

_PROJECT_ROOT = Path(__file__).resolve().parents[3]
LOOPBACK = "127.0.0.1"
_POLL_INTERVAL = 0.05  # seconds
_STOP_TIMEOUT = 5.0  # seconds between SIGTERM and SIGKILL
_LOG_LINES = 3  # of a failed server, shown in the error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A serving command as a process, the leader of its own process group."""

    name: str
    port: int
    process: psutil.Popen
    log_file: Path

    def failure(self) -> str:
        """How the process ended, with its last log lines."""
        lines = [line.strip() for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]
        ending = " | ".join(lines[-_LOG_LINES:])
        return f"{self.name} ended with code {self.process.returncode}: {ending or 'no output'}"


def deploy(service: Service) -> Deployment:
    """Start predictor and transformer, wait until both are ready, send the smoke request, and stop both.

    Raises:
        StepError: A process ended early or was not ready in time, or the smoke test failed.
    """
    predictor_port, transformer_port = free_ports(2)
    common = ("--model-dir", storage.resolve(service.bundle_uri).uri, "--model-name", service.name)
    predictor = ("serve_predictor", *common)
    transformer = ("serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{predictor_port}")
    url = f"http://{LOOPBACK}:{transformer_port}/v1/models/{service.name}:predict"
    # Proxies of the environment do not lead to this machine.
    with (
        running({predictor_port: predictor, transformer_port: transformer}) as servers,
        httpx.Client(trust_env=False) as client,
    ):
        wait_until_ready(servers, service.name, service.ready_timeout, client)
        version = smoke_test(service, url, client)
    logger.info("service %s answered the smoke request as model %s", service.name, version)
    return Deployment(url, version)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, different ones because all are held until the last is known."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind((LOOPBACK, 0))
        return [held.getsockname()[1] for held in sockets]


@contextlib.contextmanager
def running(commands: Mapping[int, Sequence[str]]) -> Iterator[list[Server]]:
    """Run serving commands side by side; none of them is left when the block ends, however it ends.

    Args:
        commands: By HTTP port, each a command with its arguments.
    """
    servers: list[Server] = []
    with scratch_directory() as folder:
        try:
            for port, command in commands.items():
                with _signals_deferred():
                    servers.append(_start(port, command, folder / f"{command[0]}-{port}.log"))
            yield servers
        finally:
            with _signals_deferred():
                _stop(servers)


def wait_until_ready(servers: Sequence[Server], model: str, timeout: float, client: httpx.Client) -> None:
    """Wait until every server says that its model is ready.

    Args:
        servers: The running servers.
        model: Name of the model, the same for all.
        timeout: Seconds.
        client: Asks them.

    Raises:
        StepError: A process ended, or the time is over.
    """
    deadline = time.monotonic() + timeout
    waiting = list(servers)
    while waiting:
        for server in waiting:
            if server.process.poll() is not None:
                raise StepError(f"service {model}: {server.failure()}")
        if time.monotonic() > deadline:
            names = " and ".join(server.name for server in waiting)
            raise StepError(f"service {model}: {names} not ready after {timeout:g} s; free the machine and try again")
        waiting = [server for server in waiting if not _is_ready(server, model, client)]
        time.sleep(_POLL_INTERVAL if waiting else 0)


def _start(port: int, command: Sequence[str], log_file: Path) -> Server:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",  # rows of single requests are too few to share among threads
        "NO_PROXY": f"{LOOPBACK},{os.environ.get('NO_PROXY', '')}",
    }
    with log_file.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "container_component_src/main.py", *command, "--http-port", str(port)],
            cwd=_PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(command[0], port, process, log_file)


def _is_ready(server: Server, model: str, client: httpx.Client) -> bool:
    try:
        return client.get(f"http://{LOOPBACK}:{server.port}/v1/models/{model}", timeout=1).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _stop(servers: Sequence[Server]) -> None:
    """End the process groups: SIGTERM to all, then SIGKILL to what is left of them."""
    for server in servers:
        _signal(server, signal.SIGTERM)
    psutil.wait_procs([server.process for server in servers], timeout=_STOP_TIMEOUT)
    for server in servers:
        _signal(server, signal.SIGKILL)
        server.process.wait()


def _signal(server: Server, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(server.process.pid, number)


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Hold SIGTERM and SIGINT back until the block has ended, so that it cannot lose a process half-way."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
