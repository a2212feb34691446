"""Logs of pods: followed while they run, and their last lines when they have failed."""

from typing import Any

from container_component_src.cluster.access import Cluster
from container_component_src.errors import StepError

SHOWN_LINES = 5  # of a failed pod, in the error


def pods(cluster: Cluster, label_selector: str) -> list[Any]:
    """The pods (`V1Pod`) with some labels, sorted by name."""
    found = cluster.request(
        cluster.core.list_namespaced_pod, "list", "pods", cluster.namespace, label_selector=label_selector
    )
    return sorted(found.items, key=lambda pod: str(pod.metadata.name))


def last_lines(cluster: Cluster, pod: str, container: str, count: int = SHOWN_LINES) -> list[str]:
    """The last lines that a container wrote, empty ones left out; why there are none where they cannot be read."""
    try:
        text = cluster.request(
            cluster.core.read_namespaced_pod_log,
            "read the log of",
            f"pod {pod}",
            pod,
            cluster.namespace,
            container=container,
            tail_lines=10 * count,
        )
    except StepError as error:  # the failure of the pod is what is reported
        return [str(error)]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-count:] or ["no output"]
