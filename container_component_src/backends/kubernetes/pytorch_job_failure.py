"""Cause of a PyTorchJob's failure: the pod that failed first, or what the cluster did to the pods."""

from dataclasses import dataclass
from typing import Any

from container_component_src.backends.kubernetes.pod_failures import PodFailures, is_deleted, may_be_consequence
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of
from container_component_src.cluster.logs import last_lines
from container_component_src.cluster.pod_states import failed_init_container, obstacles, start_problems
from container_component_src.errors import InputError, StepError

CONTAINER = "pytorch"  # name that the operator expects
MASTER_POD = "{}-master-0"  # name of the pod, given the name of the job
_REPLICA_LABEL = "training.kubeflow.org/replica-type"  # set by the operator on pods: master, worker


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
        """Return why the job failed: a replica that ended with an error, or what happened to its pods."""
        failures = PodFailures(self.cluster, CONTAINER, self.pods)
        first = failures.first()
        if first is None or may_be_consequence(first[0]):
            if outside := failures.outside_cause() or self._lost_replica():
                return StepError(outside)
            if waited := self.wait_failure():
                return StepError(waited, fix="see that the master starts, and run the step again")
        return failures.error(*first) if first else StepError(self._operator_message())

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

    def _lost_replica(self) -> str:
        """Return which replica somebody deleted; empty if none."""
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
            and not is_deleted(pod)
            and (pod.metadata.labels or {}).get(_REPLICA_LABEL) == kind.lower()
            for pod in self.pods
        )
