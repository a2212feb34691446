import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from container_component_src.backends.local.processes import free_ports
from container_component_src.backends.local.serving import deploy
from container_component_src.errors import StepError
from container_component_src.model.bundle_info import INFO_NAME
from container_component_src.serving.deployment.preparation import make_service
from container_component_src.serving.deployment.service import Service, SmokeRequest
from container_component_src.steps.serving import Hosting
from tests.serving.bundles import make_bundle

DEADLINE = 300  # seconds


@pytest.fixture
def service(tmp_path: Path) -> Service:
    make_bundle(tmp_path / "bundle")
    return make_service(str(tmp_path / "bundle"), "", "eclss")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = psutil.Process().children(recursive=True)
    yield
    assert psutil.Process().children(recursive=True) == before


@pytest.mark.slow
def test_a_deployed_service_answers_like_the_model(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative bundle path counts from here, not from where the processes run
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    deployment = deploy(replace(service, bundle_uri="bundle"))
    assert deployment.revision == service.model_version
    assert deployment.url.endswith("/v1/models/eclss:predict")


@pytest.mark.slow
def test_a_combined_service_is_one_process(service: Service) -> None:
    deployment = deploy(replace(service, hosting=Hosting(combined=True)))
    assert deployment.revision == service.model_version


@pytest.mark.slow
def test_a_wrong_answer_fails_the_deployment(service: Service) -> None:
    (score,) = service.smoke_request.scores
    expecting_more = SmokeRequest(service.smoke_request.instances, (score + 0.01,))
    with pytest.raises(StepError, match="row 0 of the smoke request scores"):
        deploy(replace(service, smoke_request=expecting_more, hosting=Hosting(combined=True)))


@pytest.mark.slow
def test_a_process_that_exits_fails_the_deployment_with_its_last_line(service: Service, tmp_path: Path) -> None:
    (tmp_path / "bundle" / INFO_NAME).write_text("{")
    with pytest.raises(StepError, match=rf"ended with code 2: error: .*{INFO_NAME}: damaged model bundle"):
        deploy(replace(service, hosting=Hosting(combined=True)))


def test_a_service_that_is_not_ready_in_time_fails_the_deployment(service: Service) -> None:
    with pytest.raises(StepError, match=r"waited 0\.1 s for .*: serve_predictor and serve_transformer not ready; free"):
        deploy(replace(service, ready_timeout=0.1))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_deployment_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    make_bundle(tmp_path / "bundle")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = (
        "container_component_src/main.py", "deploy_to_kserve", "--bundle-path", str(tmp_path / "bundle"),
        "--backend", "local",
    )  # fmt: skip
    with psutil.Popen([sys.executable, *command], env={**os.environ, "TMPDIR": str(scratch)}) as process:
        servers: list[psutil.Process] = []
        deadline = time.monotonic() + DEADLINE
        while len(servers) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
            servers = process.children(recursive=True)
        process.send_signal(number)
        assert process.wait(DEADLINE) != 0
    gone, alive = psutil.wait_procs(servers, timeout=0)
    assert (len(gone), alive) == (2, [])
    assert list(scratch.iterdir()) == []


def test_free_ports_are_distinct_and_usable() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
