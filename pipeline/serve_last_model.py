"""Serve the model of the last local run on this machine, until Ctrl-C: `make serve`."""

import json
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
import httpx

from container_component_src import storage
from container_component_src.backends.local.processes import LOOPBACK
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.command_line import run_command
from container_component_src.errors import InputError, StepError
from container_component_src.processes import PROJECT_ROOT
from container_component_src.serving.deployment.preparation import make_service
from container_component_src.serving.deployment.service import Service
from container_component_src.settings import Platform, load_settings
from container_component_src.steps.serving import HTTP_PORT, Hosting, PayloadLogging
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.values import in_home
from pipeline.options import config_option
from pipeline.outcome import from_here, query_command, service_name
from pipeline.run_folders import LAST_RUN, RUN_FIRST, SUMMARY, last_summary


@click.command(context_settings={"max_content_width": 120})
@config_option
@click.option("--port", type=click.IntRange(1, 65_535), default=HTTP_PORT, show_default=True, help="Port to listen on.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def serve_last_model(config_file: Path, port: int, debug: bool) -> None:
    """Serve the model of the last local run on this machine, and print how to call it; Ctrl-C stops it."""
    signal.signal(signal.SIGTERM, _interrupt)
    settings = load_settings(config_file)
    last_run = PROJECT_ROOT / settings.paths.work_dir / LAST_RUN
    service, request = last_model(last_run, settings.platform.inference_service, hosting_of(settings.platform))
    _check_free(port)
    request_file = last_run / "request.json"
    storage.resolve(str(request_file)).write_bytes(json.dumps(request).encode())
    command = service.predictor_command(storage.resolve(service.bundle_uri).uri)
    try:
        with running({port: command}) as (server,), httpx.Client(trust_env=False) as client:
            wait_until_ready([server], service.name, service.ready_timeout, client)
            click.echo("\n".join(how_to_call(service, f"http://{LOOPBACK}:{port}", request_file)))
            server.process.wait()
            raise StepError(server.failure())
    except KeyboardInterrupt:
        click.echo("stopped")


def last_model(last_run: Path, name: str, hosting: Hosting | None = None) -> tuple[Service, dict[str, Any]]:
    """Return the service of a run's model, and the body of a V1 request for it: rows of the run's test set.

    Args:
        last_run: Folder of the run's `summary.json`.
        name: Name of the service, if the summary does not tell the parameters of the run.
        hosting: Options of the service.

    Raises:
        InputError: There is no run, it has no model, or the model was deleted.
    """
    summary = last_summary(last_run)
    if not summary["model"]:
        raise InputError(f"{last_run / SUMMARY}: the last run {summary['status']} without a model", fix=RUN_FIRST)
    if (changed := summary.get("run", {}).get("parameters")) is not None:
        name = service_name(changed)
    test_set = summary["artifacts"].get("scaled_test", "")
    service = make_service(summary["model"], test_set, name, hosting or Hosting(combined=True))
    rows = list(service.smoke_request.instances)
    request: dict[str, Any] = {"instances": rows}
    if test_set:
        dataset = Dataset.open(test_set)
        timestamps = dataset.read(dataset.manifest.partitions[0], ()).timestamps[: len(rows)]
        request["timestamps"] = [to_iso(timestamp) for timestamp in timestamps.tolist()]
    return service, request


def hosting_of(platform: Platform) -> Hosting:
    """Return how the service runs here: in one process, with the payload log of the configuration.

    A relative path of the log begins at the project's folder.
    """
    options = platform.part(PayloadLogging).model_dump()
    if platform.payload_log and "://" not in platform.payload_log:
        options["payload_log"] = str(PROJECT_ROOT / in_home(platform.payload_log))
    return Hosting(combined=True, **options)


def how_to_call(service: Service, url: str, request: Path) -> Iterator[str]:
    """Yield the lines that tell a person how to call a service.

    Args:
        service: The service.
        url: Its address.
        request: File with the body of a request.
    """
    file = from_here(request)
    curl = ["curl", f"{url}{service.path}", "--header", "Content-Type: application/json", "--data", f"@{file}"]
    yield f"serving model {service.model_version[:12]} at {url}"
    yield f"\nsend rows of the run's test set:\n  {shlex.join(curl)}"
    query = query_command(url, service.name, file)
    yield f"\nsend them, or a parquet, CSV or JSON file of your own, and get a table:\n  {query}"
    yield "\nCtrl-C stops the service"


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            problem = f"port {port} cannot be used ({error.strerror})"
            raise InputError(problem, fix='choose another one: make serve ARGS="--port 9090"') from error


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run_command(serve_last_model, sys.argv[1:], "serve_last_model"))
