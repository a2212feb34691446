"""`deploy_to_kserve` as a process, and the containers of the InferenceService as processes too."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from container_component_src import storage
from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.cluster.step import Step
from container_component_src.model.bundle import Bundle
from container_component_src.processes import PROJECT_ROOT
from container_component_src.serving.deployment.preparation import make_service
from container_component_src.steps.shared import PodSettings
from tests.backends.kubernetes.containers import environment_of
from tests.backends.kubernetes.kserve_controller import KServe, playing
from tests.backends.kubernetes.kserve_objects import Manifest
from tests.backends.kubernetes.stopping import stop_when
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import RunCommand, assert_refused
from tests.serving.bundles import make_bundle

DEADLINE = 300  # seconds
IMAGE = "registry.example.org/eclss:1.0"


@dataclass
class RunningKServe(KServe):
    """Starts the containers of a service, with nothing but what their manifest and its Secret give them."""

    processes: ExitStack = field(default_factory=ExitStack)
    started: Manifest = field(default_factory=dict)  # the spec that the processes were started from

    def reconcile(self, service: Manifest) -> None:
        """Start both parts unless only metadata have changed, and be ready when their probes say so."""
        if service["spec"] != self.started:
            self.start(service)
            self.started = service["spec"]
        super().reconcile(service)

    def start(self, service: Manifest) -> None:
        """Start the processes of both parts."""
        ports = dict(zip(("predictor", "transformer"), free_ports(2), strict=True))
        for part, port in ports.items():
            (container,) = service["spec"][part]["containers"]
            # What KServe appends; a predictor gets nothing, but has its port for itself there.
            arguments = ["--http_port", str(port)]
            if part == "transformer":
                arguments += ["--model_name", "eclss", "--predictor_host", f"{LOOPBACK}:{ports['predictor']}"]
            process = psutil.Popen(
                [sys.executable, *container["command"][1:], *arguments],
                cwd=PROJECT_ROOT,
                env={"PATH": os.environ["PATH"], **environment_of(container, os.environ)},
                stdout=subprocess.DEVNULL,
            )
            self.processes.callback(process.wait)
            self.processes.callback(process.terminate)
        for part, port in ports.items():
            probe = service["spec"][part]["containers"][0]["readinessProbe"]["httpGet"]
            assert probe["port"] == 8080
            wait_for(f"http://{LOOPBACK}:{port}{probe['path']}")
        self.url = f"http://{LOOPBACK}:{ports['transformer']}"


def wait_for(url: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise TimeoutError(url)


@pytest.fixture
def bundle(bucket: str, tmp_path: Path) -> str:
    """The address of a bundle in object storage, as the pipeline's backend writes it."""
    made: Bundle = make_bundle(tmp_path / "bundle")
    made.save(storage.resolve(f"{bucket}/bundle"))
    return f"{bucket}/bundle".replace("s3://", "minio://")


@pytest.fixture
def kserve(emulator: Emulator) -> Iterator[RunningKServe]:
    controller = RunningKServe(emulator)
    with controller.processes, playing(controller):
        yield controller


def options(bundle: str) -> list[str]:
    common = ["--bundle-path", bundle, "--service-name", "eclss", "--namespace", NAMESPACE, "--image", IMAGE]
    return ["deploy_to_kserve", *common, "--backend", "kubernetes"]


@pytest.mark.slow
def test_a_model_is_deployed_by_the_command_line(
    run_command: RunCommand, emulator: Emulator, kserve: RunningKServe, bundle: str
) -> None:
    outcome = run_command(*options(bundle))
    assert outcome.code == 0, outcome.stderr
    assert f"{kserve.url}/v1/models/eclss:predict" in outcome.stdout
    assert "created InferenceService eclss" in outcome.stdout
    assert "answered the smoke request as model" in outcome.stdout
    assert list(emulator.objects("InferenceService")) == ["eclss"]
    found: Any = emulator.objects("InferenceService")["eclss"]
    assert "secret" not in str(found["spec"]).replace("secretKeyRef", "")  # the credentials of the test's store


@pytest.mark.slow
def test_the_command_reports_what_failed(run_command: RunCommand, emulator: Emulator, bundle: str) -> None:
    emulator.fail("POST", "/inferenceservices$", 403, times=9)
    assert_refused(run_command(*options(bundle)), "not allowed to create InferenceService eclss", code=1)
    assert emulator.objects("InferenceService") == {}


@pytest.mark.slow
def test_a_stopped_update_is_rolled_back(emulator: Emulator, bundle: str) -> None:
    """The controller does nothing, so that the step waits."""
    service = make_service(bundle, "", "eclss")
    before = manifest(
        Step("earlier"), PodSettings(namespace=NAMESPACE, image="registry.example.org/eclss:0.9"), service
    )
    emulator.put("InferenceService", before)

    def waits_for_the_update() -> bool:
        updated = emulator.objects("InferenceService")["eclss"]["spec"] != before["spec"]
        return updated and ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods") in emulator.requests()

    stdout = stop_when(waits_for_the_update, options(bundle))
    assert "stopped: InferenceService eclss has its previous spec again" in stdout
    after = emulator.objects("InferenceService")["eclss"]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
