"""The check that the cluster can pull the image."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from container_component_src.maintenance import pod_checks
from container_component_src.maintenance.checks import Check
from container_component_src.steps.shared import PodSettings
from pipeline.remote.preflight import check_pullable
from tests.cluster.conftest import emulator  # noqa: F401
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, Emulator
from tests.maintenance.kubelet import ENDS_WELL, PULL_FAILS, playing_kubelet

PODS = PodSettings(
    namespace=NAMESPACE, image="registry.io/image:1", image_pull_secret="login", pod_labels={"team": "a"}
)


@pytest.fixture
def cluster(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:  # noqa: F811
    monkeypatch.setenv("KUBECONFIG", str(emulator.kubeconfig(tmp_path / "user", ADMINISTRATOR)))
    monkeypatch.setattr(pod_checks, "POLL_INTERVAL", 0.1)
    monkeypatch.setattr(pod_checks, "SCHEDULING_TIMEOUT", 0.5)
    return emulator


@pytest.mark.parametrize(
    ("state", "outcome", "detail"),
    [
        (ENDS_WELL, "ok", "registry.io/image:1 was pulled"),
        (PULL_FAILS, "failed", "ImagePullBackOff (not found)"),
        (None, "warning", "not pulled: pod doctor-"),
    ],
)
def test_image_is_pulled_by_a_test_pod(
    cluster: Emulator, state: dict[str, Any] | None, outcome: str, detail: str
) -> None:
    with playing_kubelet(cluster, state):
        check = check_pullable(PODS)
    assert check.state == outcome, check
    assert detail in check.detail
    assert cluster.objects("Pod") == {}


def shown(pod: client.V1Pod) -> tuple[Any, ...]:
    return pod.spec.service_account_name, pod.spec.image_pull_secrets[0].name, pod.metadata.labels["team"]


def test_pull_is_that_of_the_steps(cluster: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test pod has the account of the user, and the pull secret and the labels of the steps."""
    account = f"system:serviceaccount:{NAMESPACE}:default-editor"
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig(tmp_path / "notebook", account)))
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(pod_checks, "_create", lambda _, pod, **__: made.append(shown(pod)))
    monkeypatch.setattr(pod_checks, "_check_run", lambda *_: Check("image", True, ""))
    check_pullable(PODS)
    assert made == [("default-editor", "login", "a")]


@pytest.mark.parametrize(("status", "detail"), [(403, "injected failure"), (404, "there is no namespace telemetry at")])
def test_refused_test_pod_is_a_warning(cluster: Emulator, status: int, detail: str) -> None:
    cluster.fail("POST", "/pods$", status, times=99)
    check = check_pullable(PODS)
    assert check.state == "warning"
    assert detail in check.detail


def test_missing_access_to_the_api_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    check = check_pullable(PODS)
    assert check.state == "warning"
    assert "the Kubernetes API is not accessible" in check.detail
