"""Status of pods: why they do not start, and how they ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DEADLINE_EXCEEDED = "DeadlineExceeded"  # reason of pods and jobs that took too long
_NORMAL = {"ContainerCreating", "PodInitializing"}  # reasons of waiting that are no problem
_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}


@dataclass(frozen=True)
class Termination:
    """Exit of a container."""

    exit_code: int
    reason: str  # Error, OOMKilled, …
    finished_at: datetime


def termination(pod: Any, container: str) -> Termination | None:
    """Return how a container of a pod (`V1Pod`) ended, or None if it has not."""
    for status in pod.status.container_statuses or []:
        end = status.state.terminated if status.state else None
        if status.name == container and end is not None:
            finished = end.finished_at or datetime.min.replace(tzinfo=UTC)
            return Termination(end.exit_code, end.reason or "no reason given", finished)
    return None


def is_pod_ready(pod: Any) -> bool:
    """Return whether a pod (`V1Pod`) is ready for requests."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or [])


def ended_by_cluster(pod: Any) -> str:
    """Return why Kubernetes ended a pod (`V1Pod`), such as its deadline or an eviction; empty if it did not."""
    if pod.status.phase != "Failed" or not pod.status.reason:
        return ""
    return f"{pod.status.reason} ({pod.status.message or 'no message'})"


def failed_init_container(pod: Any) -> str:
    """Return the name of the init container whose failure ended a pod (`V1Pod`); empty if there is none."""
    for status in pod.status.init_container_statuses or []:
        end = status.state.terminated if status.state else None
        if end is not None and end.exit_code and pod.status.phase == "Failed":
            return str(status.name)
    return ""


def obstacles(pods: Iterable[Any]) -> list[str]:
    """Return why pods (`V1Pod`) do not start, such as full nodes or a missing image, one line each."""
    found = []
    for pod in pods:
        found += [
            f"pod {pod.metadata.name} waits for a node: {condition.message}"
            for condition in pod.status.conditions or []
            if condition.type == "PodScheduled" and condition.status == "False"
        ]
        found += start_problems([pod])
    return found


def start_problems(pods: Iterable[Any]) -> list[str]:
    """Return why containers of scheduled pods (`V1Pod`) do not start, such as a missing Secret, one line each."""
    return [
        f"pod {pod.metadata.name} does not start: {waiting.reason} ({waiting.message or 'no message'})"
        for pod in pods
        for waiting in _waiting(pod)
        if waiting.reason not in _NORMAL
    ]


def image_problems(pods: Iterable[Any]) -> list[str]:
    """Return why images of pods (`V1Pod`) cannot be pulled, one line each."""
    return [
        f"pod {pod.metadata.name}: {waiting.reason} ({waiting.message or 'no message'})"
        for pod in pods
        for waiting in _waiting(pod)
        if waiting.reason in _IMAGE_REASONS
    ]


def _waiting(pod: Any) -> list[Any]:
    """Return the states of a pod's containers that have not started."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    return [status.state.waiting for status in statuses if status.state and status.state.waiting]


def restarts(pods: Iterable[Any]) -> list[str]:
    """Return how the restarted containers of pods (`V1Pod`) last ended, one line each."""
    found = []
    for pod in pods:
        for status in pod.status.container_statuses or []:
            end = status.last_state.terminated if status.last_state else None
            if end is not None:
                found.append(f"pod {pod.metadata.name} ended with code {end.exit_code} ({end.reason})")
    return found
