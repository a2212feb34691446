"""Stand-in for the kubelet that runs the pods of checks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.emulator import Emulator

PULL_FAILS = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
ENDS_WELL = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z"}}
FINDS_PROBLEM = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}
NO_ROOM = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}


@contextmanager
def playing_kubelet(cluster: Emulator, state: dict[str, Any] | None) -> Iterator[None]:
    """Schedule the first pod that appears and set its container's state; without a state, leave it unscheduled."""
    thread = threading.Thread(target=_play, args=(cluster, state))
    thread.start()
    yield
    thread.join()


def _play(cluster: Emulator, state: dict[str, Any] | None) -> None:
    deadline = time.monotonic() + 120
    while not cluster.objects("Pod") and time.monotonic() < deadline:
        time.sleep(0.05)
    (name,) = cluster.objects("Pod")
    if state is None:
        cluster.patch("Pod", name, {"status": {"phase": "Pending", "conditions": [NO_ROOM]}})
        return
    cluster.log(name).text = "a table\nerror: 1 of 30 checks failed: disk\n"
    container = {"name": "doctor", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    cluster.patch(
        "Pod", name, {"spec": {"nodeName": "node"}, "status": {"phase": "Running", "containerStatuses": [container]}}
    )
