"""Logs of pods: follow_log while they run, and their last lines when they have failed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from container_component_src.cluster.access import TIMEOUT, Cluster
from container_component_src.errors import StepError

SHOWN_LINES = 5  # of a failed pod, in the error
RECONNECT_INTERVAL = 2.0  # seconds
LAST_WORDS_TIME = 15.0  # seconds that the end of a log may take once the pod has ended


def list_pods(cluster: Cluster, label_selector: str) -> list[Any]:
    """The pods (`V1Pod`) with some labels, sorted by name."""
    found = cluster.request(
        cluster.core.list_namespaced_pod, "list", "pods", cluster.namespace, label_selector=label_selector
    )
    return sorted(found.items, key=lambda pod: str(pod.metadata.name))


def read_log(cluster: Cluster, pod: str, container: str, lines: int, previous: bool = False) -> str:
    """The end of what a container wrote.

    Args:
        cluster: Where the pod is.
        pod: Its name.
        container: In the pod.
        lines: How many at most.
        previous: What it wrote before it was started again.

    Raises:
        StepError: It cannot be read.
    """
    text: str = cluster.request(
        cluster.core.read_namespaced_pod_log,
        "read the log of",
        f"pod {pod}",
        pod,
        cluster.namespace,
        container=container,
        tail_lines=lines,
        previous=previous,
    )
    return text


def last_lines(
    cluster: Cluster, pod: str, container: str, count: int = SHOWN_LINES, previous: bool = False
) -> list[str]:
    """The last lines that a container wrote, empty ones left out; why there are none where they cannot be read.

    Args:
        cluster: Where the pod is.
        pod: Its name.
        container: In the pod.
        count: Of lines.
        previous: What it wrote before it was started again.
    """
    try:
        text = read_log(cluster, pod, container, 10 * count, previous)
    except StepError as error:  # the failure of the pod is what is reported
        return [str(error)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-count:] or ["no output"]


@contextmanager
def follow_log(cluster: Cluster, pod: str, container: str, write: Callable[[str], object]) -> Iterator[None]:
    """Hand on the lines of a container's log as they come; when the block has ended, those that are left.

    Args:
        cluster: Where the pod is, or will be.
        pod: Its name.
        container: In the pod.
        write: Takes each line once, from another thread.
    """
    follower = _Follower(cluster, pod, container, write)
    thread = threading.Thread(target=follower.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        follower.ended.set()
    thread.join(LAST_WORDS_TIME)


class _Follower:
    """Reads a log in as many connections as it takes."""

    def __init__(self, cluster: Cluster, pod: str, container: str, write: Callable[[str], object]) -> None:
        self.ended = threading.Event()
        self._cluster = cluster
        self._pod = pod
        self._container = container
        self._write = write
        self._last = ("", "")  # time stamp of the last line
        self._replaying = False  # lines that an earlier connection has handed on

    def run(self) -> None:
        """Read until the log ends after the pod has, whatever connection breaks meanwhile."""
        while True:
            last_time = self.ended.is_set()
            whole = self._read()
            if last_time or (whole and self.ended.is_set()):
                return
            self.ended.wait(RECONNECT_INTERVAL)

    def _read(self) -> bool:
        """Read from the beginning in one connection, and hand on what is new; False if it broke."""
        self._replaying = True
        try:
            answer = self._cluster.core.read_namespaced_pod_log(
                self._pod,
                self._cluster.namespace,
                container=self._container,
                follow=True,
                timestamps=True,
                _preload_content=False,
                _request_timeout=TIMEOUT,
            )
            rest = b""
            for chunk in answer.stream():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._hand_on(line.decode(errors="replace"))
            self._hand_on(rest.decode(errors="replace"))
        except (ApiException, urllib3.exceptions.HTTPError):  # not started yet, gone, or cut off: tried again
            return False
        return True

    def _hand_on(self, line: str) -> None:
        stamp, _, text = line.partition(" ")
        second, _, fraction = stamp.removesuffix("Z").partition(".")
        time = (second, fraction.ljust(9, "0"))  # Kubernetes leaves out trailing zeros
        self._replaying = self._replaying and time <= self._last
        if line and not self._replaying:
            self._last = time
            self._write(text)
