"""Deployment on this machine: run the commands of the InferenceService's containers as processes and test them.

The processes are stopped when the service has passed its smoke test.
"""

import logging
import os
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
from container_component_src.values import PROGRAM
from container_component_src.waiting import NotReadyError, wait_for

_POLL_INTERVAL = 0.05  # seconds
_LOG_LINES = 3  # number of lines of a failed server in the error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """Serving command that runs as a process."""

    name: str
    port: int
    process: psutil.Popen
    log_file: Path

    def failure(self) -> str:
        """Return how the process ended, with its last log lines."""
        lines = [line.strip() for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]
        ending = " | ".join(lines[-_LOG_LINES:])
        return f"{self.name} ended with code {self.process.returncode}: {ending or 'no output'}"

    def is_ready(self, model: str, client: httpx.Client) -> bool:
        """Return whether the server says that a model is ready."""
        url = f"http://{LOOPBACK}:{self.port}/v1/models/{model}"
        try:
            return client.get(url, timeout=1).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


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
    """Run serving commands side by side, and stop them when the block ends.

    Args:
        commands: Command with its arguments, by HTTP port.
    """
    environment = {
        **SERVER_ENVIRONMENT,
        "NO_PROXY": f"{LOOPBACK},{os.environ.get('NO_PROXY', '')}",
    }
    with scratch_directory() as folder, process_groups() as processes:
        servers = []
        for port, command in commands.items():
            log_file = folder / f"{command[0]}-{port}.log"
            program = [*PROGRAM, *command, "--http-port", str(port)]
            start_process(processes, program, environment, log_file)
            servers.append(Server(command[0], port, processes[-1], log_file))
        yield servers


def wait_until_ready(servers: Sequence[Server], model: str, timeout: float, client: httpx.Client) -> None:
    """Wait until every server says that its model is ready.

    Args:
        servers: Running servers.
        model: Name of the model on all servers.
        timeout: Seconds.
        client: Client that asks the servers.

    Raises:
        StepError: A process ended, or the timeout has passed.
    """
    waiting = list(servers)

    def attempt() -> None:
        for server in waiting:
            if server.process.poll() is not None:
                raise StepError(f"service {model}: {server.failure()}")
        waiting[:] = [server for server in waiting if not server.is_ready(model, client)]
        if waiting:
            raise NotReadyError(f"{' and '.join(server.name for server in waiting)} not ready")

    fix = "free the machine and try again"
    wait_for(attempt, timeout, _POLL_INTERVAL, f"service {model} to be ready", fix=fix)
