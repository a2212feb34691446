from typing import Any

import pytest

from container_component_src.maintenance import pod_checks
from container_component_src.maintenance.checks import Check
from tests.cluster.emulator import Emulator
from tests.helpers import Invoke, assert_refused
from tests.maintenance.clusters import COMMAND
from tests.maintenance.kubelet import ENDS_WELL, FINDS_PROBLEM, PULL_FAILS, playing_kubelet


def test_refused_pod_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.fail("POST", "/pods$", 403)
    assert_refused(invoke(*COMMAND, "--image", "registry.io/image:1", "--pull-image"), "pod admission", code=1)
    assert "injected failure" in found["pod admission"].detail
    assert "a quota" in found["pod admission"].fix


@pytest.mark.parametrize(
    ("state", "ok", "detail"),
    [
        (ENDS_WELL, True, "pulled, and doctor found no problem inside"),
        (FINDS_PROBLEM, False, "pulled, but its command ended with code 1: error: 1 of 30 checks failed"),
        (PULL_FAILS, False, "does not start: ImagePullBackOff (not found)"),
    ],
)
def test_result_of_a_pod_is_reported_and_the_pod_deleted(
    ready: Emulator,
    invoke: Invoke,
    found: dict[str, Check],
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
    ok: bool,
    detail: str,
) -> None:
    monkeypatch.setattr(pod_checks, "POLL_INTERVAL", 0.1)
    with playing_kubelet(ready, state):
        outcome = invoke(*COMMAND, "--image", "registry.io/image:1", "--pull-image")
    assert outcome.code == (0 if ok else 1), outcome.stderr
    assert found["image"].ok == ok
    assert detail in found["image"].detail
    assert ready.objects("Pod") == {}
