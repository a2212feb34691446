"""The serving commands as a container starts them."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from container_component_src import storage
from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.model.bundle_info import INFO_NAME, WEIGHTS_NAME
from tests.helpers import Invoke, assert_refused
from tests.serving.bundles import make_bundle

pytestmark = pytest.mark.slow  # many of these tests start processes or wait

COMMANDS = {"serve_predictor": [], "serve_transformer": ["--predictor-host", "predictor"]}


def serve(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "container_component_src/main.py", command, *COMMANDS[command], *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bundle_with_a_damaged_description_is_refused(command: str, invoke: Invoke, tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (tmp_path / INFO_NAME).write_text("{")
    outcome = invoke(command, *COMMANDS[command], "--model-dir", tmp_path)
    assert_refused(outcome, f"{INFO_NAME}: damaged model bundle")


def test_other_weights_than_described_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    make_bundle(tmp_path)
    file = tmp_path / WEIGHTS_NAME
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    assert_refused(invoke("serve_predictor", "--model-dir", tmp_path), WEIGHTS_NAME)


def test_weights_that_compute_nan_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    bundle.model.get_parameter("log_variance").data.fill_(float("nan"))
    bundle.save(storage.resolve(str(tmp_path)))
    assert_refused(invoke("serve_predictor", "--model-dir", tmp_path), "NaN")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_in_use_is_refused(command: str, tmp_path: Path) -> None:
    make_bundle(tmp_path)
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        result = serve(command, "--model-dir", str(tmp_path), "--http_port", str(port), "--top-chanels", "3")
    assert result.returncode == 1
    assert f"port {port}: cannot listen there" in one_line(result)
    assert "ignored, as neither this server nor KServe has such an option: --top-chanels 3" in result.stdout


def test_a_grpc_port_in_use_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (http_port,) = free_ports(1)
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        result = serve(
            "serve_predictor", "--model-dir", str(tmp_path), "--http-port", str(http_port), "--grpc_port", str(port)
        )
    assert result.returncode == 1
    assert f"gRPC port {port}: cannot listen there" in result.stderr.splitlines()[-1]  # gRPC itself says so before


def test_a_server_stops_on_sigterm_with_exit_code_0(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (port,) = free_ports(1)
    command = ("serve_transformer", "--model-dir", str(tmp_path), "--predictor-host", "predictor")
    with running({port: command}) as (server,), httpx.Client(trust_env=False) as client:
        wait_until_ready([server], "model", 120, client)
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(300) == 0
