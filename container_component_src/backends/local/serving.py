"""Deployment on this machine: the commands of the InferenceService's two containers, run as processes and tested.

Both are stopped again once the service has passed its smoke test.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from container_component_src import storage
from container_component_src.backends.local.processes import LOOPBACK, free_ports, process_groups, start_process
from container_component_src.errors import StepError
from container_component_src.scratch import scratch_directory
from container_component_src.serving.deployment.service import SERVER_ENVIRONMENT, Deployment, Service
from container_component_src.serving.deployment.smoke_test import smoke_test

_POLL_INTERVAL = 0.05  # seconds
_LOG_LINES = 3  # of a failed server, shown in the error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A serving command as a process."""

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
    port, predictor_port = free_ports(2)
    model_dir = storage.resolve(service.bundle_uri).uri
    predictor = service.predictor_command(model_dir)
    if service.hosting.combined:
        commands = {port: predictor}
    else:
        transformer = [*service.transformer_command(model_dir), "--predictor-host", f"{LOOPBACK}:{predictor_port}"]
        commands = {predictor_port: predictor, port: transformer}
    url = f"http://{LOOPBACK}:{port}{service.path}"
    # Proxies of the environment do not lead to this machine.
    with running(commands) as servers, httpx.Client(trust_env=False) as client:
        wait_until_ready(servers, service.name, service.ready_timeout, client)
        version = smoke_test(service, url, client)
    logger.info("service %s answered the smoke request as model %s", service.name, version)
    return Deployment(url, version)


@contextmanager
def running(commands: Mapping[int, Sequence[str]]) -> Iterator[list[Server]]:
    """Run serving commands side by side; none of them is left when the block ends, however it ends.

    Args:
        commands: By HTTP port, each a command with its arguments.
    """
    environment = {
        **SERVER_ENVIRONMENT,
        "NO_PROXY": f"{LOOPBACK},{os.environ.get('NO_PROXY', '')}",
    }
    with scratch_directory() as folder, process_groups() as processes:
        servers = []
        for port, command in commands.items():
            log_file = folder / f"{command[0]}-{port}.log"
            program = ["python", "container_component_src/main.py", *command, "--http-port", str(port)]
            start_process(processes, program, environment, log_file)
            servers.append(Server(command[0], port, processes[-1], log_file))
        yield servers


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


def _is_ready(server: Server, model: str, client: httpx.Client) -> bool:
    try:
        return client.get(f"http://{LOOPBACK}:{server.port}/v1/models/{model}", timeout=1).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
