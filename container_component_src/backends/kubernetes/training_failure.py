"""Cause of a PyTorchJob's failure: the pod that failed first, or what the cluster did to the pods."""

from collections.abc import Sequence
from typing import Any

from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of
from container_component_src.cluster.logs import last_lines
from container_component_src.cluster.pod_states import (
    Termination,
    ended_by_cluster,
    failed_init_container,
    obstacles,
    start_problems,
    termination,
)
from container_component_src.errors import InputError, StepError

CONTAINER = "pytorch"  # name that the operator expects
MASTER_POD = "{}-master-0"  # name of the pod, given the name of the job
_REPLICA_LABEL = "training.kubeflow.org/replica-type"  # set by the operator on pods: master, worker
_DEADLINE = "DeadlineExceeded"


def is_late(ended: Manifest, pods: Sequence[Any], seen: Sequence[Any]) -> bool:
    """Return whether a job failed only because the workers gave up waiting for the master.

    An init container of the training operator makes workers wait for the master for about 200 seconds. If the master
    waits longer for a node, or for a large image, the training has not failed: a new job may succeed.

    Args:
        ended: Failed job.
        pods: Its pods (`V1Pod`) now; the operator has deleted those that had not ended.
        seen: Its pods before it failed.
    """
    started = condition_of(ended, "Running")  # set when the master runs, and kept
    waited = any(failed_init_container(pod) for pod in pods)
    return not started and waited and not start_problems(seen)


def failure(cluster: Cluster, ended: Manifest, pods: Sequence[Any], seen: Sequence[Any]) -> StepError | InputError:
    """Return why a job failed: a replica that ended with an error, or what happened to its pods.

    When one replica is lost, the others fail too, with an ordinary error. So such an error counts only if nothing else
    explains the failure.

    Args:
        cluster: Cluster of the job.
        ended: Failed job.
        pods: Its pods (`V1Pod`) now.
        seen: Its pods before it failed.
    """
    ends = [
        (end, str(pod.metadata.name))
        for pod in pods
        if not _is_deleted(pod)
        and not ended_by_cluster(pod)
        and (end := termination(pod, CONTAINER)) is not None
        and end.exit_code
    ]
    # Times are whole seconds, and replicas fail soon after the one that they wait for.
    first = min(ends, key=lambda item: (item[0].finished_at, _may_be_consequence(item[0]), item[1]), default=None)
    if first is None or _may_be_consequence(first[0]):
        if outside := _from_outside(cluster, ended, pods):
            return StepError(outside)
        if waited := wait_failure(cluster, ended, pods, seen):
            return StepError(waited, fix="see that the master starts, and run the step again")
    if first is None:
        return StepError(_operator_message(ended))
    end, name = first
    lines = " | ".join(last_lines(cluster, name, CONTAINER))
    fix = "raise --memory" if end.reason == "OOMKilled" else ""
    kind = InputError if end.exit_code == InputError.exit_code else StepError
    return kind(f"pod {name} of the training ended with code {end.exit_code} ({end.reason}): {lines}", fix=fix)


def _from_outside(cluster: Cluster, ended: Manifest, pods: Sequence[Any]) -> str:
    """Return what the cluster or a user did to the pods; empty if nothing."""
    for pod in pods:
        reason = ended_by_cluster(pod)
        if reason:
            name = pod.metadata.name
            lines = " | ".join(last_lines(cluster, name, CONTAINER))
            fix = "raise --job-timeout" if reason.startswith(_DEADLINE) else "run the step again"
            return f"pod {name} of the training was ended by the cluster: {reason}: {lines}; {fix}"
    lost = [kind for kind, count in _failed_replicas(ended).items() if count > _count_failed(pods, kind)]
    if not lost:
        return ""
    name = ended["metadata"]["name"]
    which = (
        f"pod {MASTER_POD.format(name)} of the training" if "Master" in lost else f"a worker pod of PyTorchJob {name}"
    )
    return f"{which} was deleted while it ran (a drained node, preemption, or by hand); run the step again"


def wait_failure(cluster: Cluster, ended: Manifest, pods: Sequence[Any], seen: Sequence[Any]) -> str:
    """Return which replica gave up waiting for the master, and why that did not start; empty if none did.

    Args:
        cluster: Cluster of the job.
        ended: Failed job.
        pods: Its pods (`V1Pod`) now.
        seen: Its pods before it failed.
    """
    for pod in pods:
        container = failed_init_container(pod)
        if container:
            name, master = pod.metadata.name, MASTER_POD.format(ended["metadata"]["name"])
            lines = " | ".join(last_lines(cluster, name, container, count=2))
            waited = f"pod {name} gave up waiting for {master} (init container {container}: {lines})"
            return "; ".join([waited, *obstacles(seen)])
    return ""


def _operator_message(ended: Manifest) -> str:
    name, condition = ended["metadata"]["name"], condition_of(ended, "Failed")
    fix = "; raise --job-timeout" if "deadline" in condition.get("message", "") else ""
    return f"PyTorchJob {name} failed: {condition.get('message') or condition.get('reason')}{fix}"


def _failed_replicas(ended: Manifest) -> dict[str, int]:
    """Return how many replicas the operator counts as failed, by type: Master, Worker."""
    statuses = ended.get("status", {}).get("replicaStatuses") or {}
    return {kind: status.get("failed", 0) for kind, status in statuses.items()}


def _count_failed(pods: Sequence[Any], kind: str) -> int:
    return sum(
        pod.status.phase == "Failed"
        and not _is_deleted(pod)
        and (pod.metadata.labels or {}).get(_REPLICA_LABEL) == kind.lower()
        for pod in pods
    )


def _is_deleted(pod: Any) -> bool:
    """Return whether a pod is being deleted.

    The operator deletes only pods that ran when the job ended, so these did not cause the failure.
    """
    return pod.metadata.deletion_timestamp is not None


def _may_be_consequence(end: Termination) -> bool:
    """Return whether a replica may have failed only because another did: not of bad input, and not killed."""
    return end.exit_code == StepError.exit_code
