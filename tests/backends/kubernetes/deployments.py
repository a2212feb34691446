"""What the tests of deployments have in common."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from container_component_src.backends.kubernetes import serving, serving_rollout, serving_status
from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster import inference_services
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.inference_services import MODE_ANNOTATION
from container_component_src.cluster.owned_objects import DIGEST_ANNOTATION
from container_component_src.cluster.step import Step
from container_component_src.serving.deployment.service import Deployment, Service, SmokeRequest
from container_component_src.steps.serving import Hosting
from container_component_src.steps.shared import PodSettings
from tests.backends.kubernetes.kserve_controller import MODEL, KServe, playing
from tests.backends.kubernetes.kserve_objects import admit
from tests.cluster.emulator import NAMESPACE, Emulator

PODS = PodSettings(namespace=NAMESPACE, image="registry.example.org/eclss:1.0")
KNATIVE = Hosting(deployment_mode="Knative")
CANARY = Hosting(deployment_mode="Knative", canary_traffic_percent=10, combined=True)
CRASHING = {
    "ready": False,
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
}


@pytest.fixture
def kserve(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[KServe]:
    """A controller at work, which is waited for in short steps."""
    for module in (serving, serving_status):
        monkeypatch.setattr(module, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(serving, "SETTLING_TIME", 0.3)
    monkeypatch.setattr(serving_rollout, "_PAUSE", 0.01)
    monkeypatch.setattr(inference_services, "_POLL_INTERVAL", 0.02)
    monkeypatch.setattr(inference_services, "REMOVAL_TIMEOUT", 5.0)
    with playing(KServe(emulator)) as controller:
        yield controller


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM does what it does to the command line."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, previous)


def service(model: str, hosting: Hosting | None = None, ready_timeout: float = 10.0) -> Service:
    request = SmokeRequest(({"a": 1.0},), (1.0,))
    return Service("eclss", f"s3://models/{model}", request, model, hosting or Hosting(), ready_timeout)


def deploy(cluster: Cluster, step: Step, wanted: Service) -> Deployment:
    return serving.deploy(cluster, step, PODS, wanted)


def of_others(step: Step) -> dict[str, Any]:
    """A service that something else made."""
    theirs = manifest(step, PODS, service("theirs"))
    theirs["metadata"] = {
        "name": "eclss",
        "namespace": NAMESPACE,
        "annotations": {MODE_ANNOTATION: "Standard"},
    }
    for component in theirs["spec"].values():
        del component["annotations"][DIGEST_ANNOTATION]
    assert admit(None, theirs) == ""
    return theirs


def stored(emulator: Emulator) -> dict[str, Any]:
    return emulator.objects("InferenceService")["eclss"]


def model_of(emulator: Emulator) -> str:
    model: str = stored(emulator)["spec"]["predictor"]["annotations"][MODEL]
    return model


def when(condition: Callable[[], Any], act: Callable[[], Any]) -> None:
    """Act from outside as soon as a condition holds."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def awaited(emulator: Emulator, model: str) -> Callable[[], bool]:
    """Whether a service of a model is there, and a deployment has looked at its pods several times since."""
    seen: list[int] = []

    def condition() -> bool:
        if "eclss" in emulator.objects("InferenceService") and model_of(emulator) == model:
            seen.append(sum(path.endswith("/pods") for _, path in emulator.requests()))
        return bool(seen) and seen[-1] >= seen[0] + 3

    return condition


def writes(emulator: Emulator) -> list[str]:
    return [method for method, path in emulator.requests() if method != "GET" and "inferenceservices" in path]
