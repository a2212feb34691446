"""Pods and their logs: lists, last lines, and following a log while it is written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from container_component_src.cluster.access import TIMEOUT, Cluster
from container_component_src.errors import StepError

SHOWN_LINES = 5  # last lines of a failed pod's log in an error
RECONNECT_INTERVAL = 2.0  # seconds
DRAIN_TIMEOUT = 15.0  # seconds to read the rest of a log after the pod has finished


def list_pods(cluster: Cluster, label_selector: str) -> list[Any]:
    """Return the pods (`V1Pod`) that match a label selector, sorted by name."""
    found = cluster.request(
        cluster.core.list_namespaced_pod, "list", "pods", cluster.namespace, label_selector=label_selector
    )
    return sorted(found.items, key=lambda pod: str(pod.metadata.name))


def read_log(cluster: Cluster, pod: str, container: str, lines: int, previous: bool = False) -> str:
    """Return the last lines of a container's log.

    Args:
        cluster: Cluster of the pod.
        pod: Name of the pod.
        container: Name of the container.
        lines: Maximum number of lines.
        previous: Whether to read the log from before the container's last restart.

    Raises:
        StepError: The log cannot be read.
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
    """Return the last nonempty lines of a container's log, or why the log cannot be read; see `read_log`."""
    try:
        text = read_log(cluster, pod, container, 10 * count, previous)
    except StepError as error:  # the caller reports the failure of the pod
        return [str(error)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-count:] or ["no output"]


@contextmanager
def follow_log(
    cluster: Cluster, find_pod: Callable[[], str], container: str, write: Callable[[str], object]
) -> Iterator[None]:
    """Pass on the lines of a container's log while the block runs, and the remaining ones afterwards.

    Args:
        cluster: Cluster of the pod.
        find_pod: Returns the name of the pod, which need not exist yet; empty if it is not known yet.
        container: Name of the container.
        write: Called with each line once, in another thread.
    """
    follower = _Follower(cluster, find_pod, container, write)
    thread = threading.Thread(target=follower.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        follower.ended.set()
    thread.join(DRAIN_TIMEOUT)


class _Follower:
    """Reader of a log that reconnects when a connection breaks."""

    def __init__(
        self, cluster: Cluster, find_pod: Callable[[], str], container: str, write: Callable[[str], object]
    ) -> None:
        self.ended = threading.Event()
        self._cluster = cluster
        self._find_pod = find_pod
        self._container = container
        self._write = write
        self._last = ("", "")  # timestamp of the last line
        self._replaying = False  # whether an earlier connection has passed on the current line

    def run(self) -> None:
        """Read until the pod has finished and the log is complete."""
        while True:
            is_last = self.ended.is_set()
            complete = self._read()
            if is_last or (complete and self.ended.is_set()):
                return
            self.ended.wait(RECONNECT_INTERVAL)

    def _read(self) -> bool:
        """Read the log from its beginning and pass on new lines; return False if the connection broke."""
        self._replaying = True
        try:
            if not (pod := self._find_pod()):
                return False
            answer = self._cluster.core.read_namespaced_pod_log(
                pod,
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
                    self._pass_on(line.decode(errors="replace"))
            self._pass_on(rest.decode(errors="replace"))
        except (ApiException, urllib3.exceptions.HTTPError, StepError):  # not started yet, deleted or disconnected
            return False
        return True

    def _pass_on(self, line: str) -> None:
        stamp, _, text = line.partition(" ")
        second, _, fraction = stamp.removesuffix("Z").partition(".")
        time = (second, fraction.ljust(9, "0"))  # Kubernetes leaves out trailing zeros
        self._replaying = self._replaying and time <= self._last
        if line and not self._replaying:
            self._last = time
            self._write(text)
