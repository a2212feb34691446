"""Cause of a PyTorchJob's failure: the pod that failed first, or what the cluster did to the pods."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class FailedJob:
    """PyTorchJob that has failed."""

    cluster: Cluster
    job: Manifest
    pods: list[Any]  # its pods (`V1Pod`) now; the operator has deleted those that had not ended
    seen: list[Any]  # its pods before it failed

    @property
    def name(self) -> str:
        """Name of the job."""
        return str(self.job["metadata"]["name"])

    def is_late(self) -> bool:
        """Return whether the job failed only because the workers gave up waiting for the master.

        An init container of the training operator makes workers wait for the master for about 200 seconds. If the
        master waits longer for a node, or for a large image, the training has not failed: a new job may succeed.
        """
        started = condition_of(self.job, "Running")  # set when the master runs, and kept
        waited = any(failed_init_container(pod) for pod in self.pods)
        return not started and waited and not start_problems(self.seen)

    def error(self) -> StepError | InputError:
        """Return why the job failed: a replica that ended with an error, or what happened to its pods.

        When one replica is lost, the others fail too, with an ordinary error. So such an error counts only if nothing
        else explains the failure.
        """
        ends = [
            (end, str(pod.metadata.name))
            for pod in self.pods
            if not _is_deleted(pod)
            and not ended_by_cluster(pod)
            and (end := termination(pod, CONTAINER)) is not None
            and end.exit_code
        ]
        # Times are whole seconds, and replicas fail soon after the one that they wait for.
        first = min(ends, key=lambda item: (item[0].finished_at, _may_be_consequence(item[0]), item[1]), default=None)
        if first is None or _may_be_consequence(first[0]):
            if outside := self._outside_cause():
                return StepError(outside)
            if waited := self.wait_failure():
                return StepError(waited, fix="see that the master starts, and run the step again")
        if first is None:
            return StepError(self._operator_message())
        end, name = first
        fix = "raise --memory" if end.reason == "OOMKilled" else ""
        kind = InputError if end.exit_code == InputError.exit_code else StepError
        problem = f"pod {name} of the training ended with code {end.exit_code} ({end.reason}): {self._log(name)}"
        return kind(problem, fix=fix)

    def wait_failure(self) -> str:
        """Return which replica gave up waiting for the master, and why that did not start; empty if none did."""
        for pod in self.pods:
            container = failed_init_container(pod)
            if container:
                name, master = pod.metadata.name, MASTER_POD.format(self.name)
                lines = " | ".join(last_lines(self.cluster, name, container, count=2))
                waited = f"pod {name} gave up waiting for {master} (init container {container}: {lines})"
                return "; ".join([waited, *obstacles(self.seen)])
        return ""

    def _outside_cause(self) -> str:
        """Return what the cluster or a user did to the pods; empty if nothing."""
        for pod in self.pods:
            reason = ended_by_cluster(pod)
            if reason:
                name = pod.metadata.name
                fix = "raise --job-timeout" if reason.startswith(_DEADLINE) else "run the step again"
                return f"pod {name} of the training was ended by the cluster: {reason}: {self._log(name)}; {fix}"
        # The operator counts failed replicas by type, Master and Worker, also those whose pods are gone.
        statuses = self.job.get("status", {}).get("replicaStatuses") or {}
        lost = [kind for kind, status in statuses.items() if status.get("failed", 0) > self._count_failed(kind)]
        if not lost:
            return ""
        master = f"pod {MASTER_POD.format(self.name)} of the training"
        which = master if "Master" in lost else f"a worker pod of PyTorchJob {self.name}"
        return f"{which} was deleted while it ran (a drained node, preemption, or by hand); run the step again"

    def _operator_message(self) -> str:
        condition = condition_of(self.job, "Failed")
        fix = "; raise --job-timeout" if "deadline" in condition.get("message", "") else ""
        return f"PyTorchJob {self.name} failed: {condition.get('message') or condition.get('reason')}{fix}"

    def _count_failed(self, kind: str) -> int:
        return sum(
            pod.status.phase == "Failed"
            and not _is_deleted(pod)
            and (pod.metadata.labels or {}).get(_REPLICA_LABEL) == kind.lower()
            for pod in self.pods
        )

    def _log(self, pod: str) -> str:
        return " | ".join(last_lines(self.cluster, pod, CONTAINER))


def _is_deleted(pod: Any) -> bool:
    """Return whether a pod is being deleted.

    The operator deletes only pods that ran when the job ended, so these did not cause the failure.
    """
    return pod.metadata.deletion_timestamp is not None


def _may_be_consequence(end: Termination) -> bool:
    """Return whether a replica may have failed only because another did: not of bad input, and not killed."""
    return end.exit_code == StepError.exit_code
