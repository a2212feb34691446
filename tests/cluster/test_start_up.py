import logging
from types import SimpleNamespace
from typing import Any

import pytest

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.start_up import StartUp
from container_component_src.errors import StepError
from tests.cluster.emulator import Emulator
from tests.cluster.test_events import put_event


def pod(reason: str = "", message: str = "not found") -> Any:
    """Return a pod as the Kubernetes client does, with one container that waits for the given reason."""
    waiting = SimpleNamespace(reason=reason, message=message) if reason else None
    status = SimpleNamespace(state=SimpleNamespace(waiting=waiting))
    return SimpleNamespace(
        metadata=SimpleNamespace(name="worker-0"),
        status=SimpleNamespace(conditions=[], init_container_statuses=None, container_statuses=[status]),
    )


def test_each_problem_of_pods_is_logged_once(
    cluster: Cluster, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    put_event(emulator, 1, "job", message="exceeded quota")
    start_up = StartUp(cluster, "Job job")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            start_up.check([pod("ErrImagePull")], 2, ["job"])
    assert caplog.messages == [
        "pod worker-0 does not start: ErrImagePull (not found)",
        "Job job: FailedCreate (exceeded quota)",
    ]


def test_attempts_to_pull_an_image_are_logged_once(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt has its own port."""
    start_up = StartUp(cluster, "Job job")
    for port in (53114, 45937):
        start_up.check([pod("ErrImagePull", f"lookup: read udp 10.0.0.1:{port}->10.0.0.2:53: timeout")], 1, ["job"])
    assert len(caplog.messages) == 1


def test_missing_pods_fail_the_step_with_the_newest_event(cluster: Cluster, emulator: Emulator) -> None:
    put_event(emulator, 1, "job", message="exceeded quota")
    start_up = StartUp(cluster, "Job job", no_pod_limit=0.0)
    with pytest.raises(StepError, match=r"1 of 1 pods of Job job were not created .*exceeded quota"):
        start_up.check([], 1, ["job"])


def test_optional_pods_may_be_missing(cluster: Cluster, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    put_event(emulator, 1, "job", message="exceeded quota")
    start_up = StartUp(cluster, "Job job", no_pod_limit=0.0)
    start_up.check([pod()], 2, ["job"], needed=1)
    assert caplog.messages == ["Job job: FailedCreate (exceeded quota)"]
    with pytest.raises(StepError, match="2 of 2 pods of Job job"):
        start_up.check([], 2, ["job"], needed=1)


def test_failed_image_pull_fails_the_step(cluster: Cluster) -> None:
    start_up = StartUp(cluster, "Job job", image_limit=0.0)
    with pytest.raises(
        StepError, match=r"image of Job job cannot be pulled .*worker-0: ImagePullBackOff \(not found\)"
    ):
        start_up.check([pod("ImagePullBackOff")], 1, ["job"])


def test_limits_restart_after_a_problem_is_solved(cluster: Cluster) -> None:
    start_up = StartUp(cluster, "Job job", no_pod_limit=60.0, image_limit=60.0)
    start_up.check([], 1, ["job"])
    start_up.check([pod("ErrImagePull")], 1, ["job"])
    start_up.check([pod()], 1, ["job"])
    assert start_up._since == {}
