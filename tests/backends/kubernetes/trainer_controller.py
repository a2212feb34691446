"""Fake Kubeflow Trainer on the emulated cluster: pods of TrainJobs, their logs, and the jobs' status.

What it does was seen on Trainer 2.2.0 with JobSet 0.11.1: a job needs its runtime, which cannot be deleted before the
job; the names of pods end at random; there is no condition for running, and `jobsStatus` counts groups of pods;
`Failed` comes one to three seconds after the first failed pod, and only the failed pods are kept. A deleted pod fails
the job: the others are deleted a second later, and all end within their grace period before the job is `Failed`.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

from tests.backends.kubernetes.katib_controller import condition
from tests.backends.kubernetes.training_operator import container, ended, wait_for_looks, write_epochs
from tests.cluster.emulator import Emulator

Manifest = dict[str, Any]
JOB_LABEL = "jobset.sigs.k8s.io/jobset-name"
FINALIZER = "trainer.kubeflow.org/resource-in-use"
LOOKS = 2  # of the step between the failure of a pod and that of its job


@dataclass
class Trainer:
    """Controller; the fields set its behaviour. Pods are numbered by their rank."""

    emulator: Emulator
    exit_codes: dict[int, int] = field(default_factory=dict)
    reason: str = "Error"  # reason of failed containers
    lines: int = 5  # number of lines that the first pod writes
    pending: dict[int, Manifest] = field(default_factory=dict)  # status of pods that do not start
    killed: dict[int, str] = field(default_factory=dict)  # reason why Kubernetes ends a pod
    deleted: set[int] = field(default_factory=set)  # pods that are deleted while they run
    unseen: bool = False  # the pods are deleted before the step looks
    suspended: bool = False  # a queue holds the jobs back
    overdue: bool = False  # the deadline of the job has passed
    idle: bool = False  # never ends a job
    handled: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.emulator.admit("TrainJob", self._admit)

    def _admit(self, old: Manifest | None, new: Manifest) -> str:
        """Refuse a job without its runtime."""
        wanted = new["spec"]["runtimeRef"]
        known = wanted["kind"] == "TrainingRuntime" and wanted["name"] in self.emulator.api.existing("TrainingRuntime")
        return "" if known else f"TrainingRuntime {wanted['name']} not found"

    def run(self) -> None:
        """Reconcile all jobs until stopped."""
        while not self.stopped.wait(0.01):
            self.hold_runtimes()
            for name, job in self.emulator.objects("TrainJob").items():
                if job["metadata"]["uid"] not in self.handled and not self._held_back(name, job):
                    self.handled.add(job["metadata"]["uid"])
                    self.reconcile(name, job)

    def hold_runtimes(self) -> None:
        """Let runtimes exist as long as their jobs."""
        for name, found in self.emulator.objects("TrainingRuntime").items():
            metadata = found["metadata"]
            used = name in self.emulator.objects("TrainJob")
            if used and "finalizers" not in metadata and "deletionTimestamp" not in metadata:
                self.emulator.patch("TrainingRuntime", name, {"metadata": {"finalizers": [FINALIZER]}})
            elif not used and "deletionTimestamp" in metadata:
                self.emulator.remove("TrainingRuntime", name)

    def _held_back(self, name: str, job: Manifest) -> bool:
        held = condition("Suspended", status="True" if self.suspended else "False")
        if self.suspended and job.get("status", {}).get("conditions") != [held]:
            self.emulator.patch("TrainJob", name, {"status": {"conditions": [held]}})
        return self.suspended

    def reconcile(self, name: str, job: Manifest) -> None:
        """Start the pods of a job, let them write, and end it."""
        ranks = range(0 if self.unseen else job["spec"]["trainer"]["numNodes"])
        for rank in ranks:
            self.put_pod(job, rank, self.pending.get(rank, {"phase": "Running"}))
        self.patch(name, [], active=1, ready=0 if self.pending else 1)
        if self.pending:
            return
        self.write_log(name)
        if self.idle:
            return
        if self.overdue:
            self.remove_pods(name)
            wait_for_looks(self.emulator, self.stopped, LOOKS)
            self.patch(name, [ended_as("Failed", "DeadlineExceeded", "job was active too long")])
        elif any(self.exit_codes.values()) or self.killed or self.deleted or self.unseen:
            self.fail(name)
        else:
            for rank in ranks:
                self.end_pod(name, rank)
            self.patch(name, [COMPLETE], succeeded=1)

    def write_log(self, name: str) -> None:
        """Let the first pod write line by line."""
        write_epochs(self.emulator.log(pod_of(name, 0)), self.lines, self.idle)

    def fail(self, name: str) -> None:
        """End the pods that fail, and the job somewhat later, with all pods but one of those."""
        if self.deleted:
            self.delete_pods(name)
        kept = sorted({*self.exit_codes, *self.killed})
        for rank in kept:
            self.end_pod(name, rank)
        wait_for_looks(self.emulator, self.stopped, LOOKS)
        self.remove_pods(name, *(pod_of(name, rank) for rank in kept))
        message = f"jobset failed due to one or more job failures (first failed job: {name}-node-0)"
        self.patch(name, [ended_as("Failed", "FailedJobs", message)], failed=1)

    def delete_pods(self, name: str) -> None:
        """Mark the pods as deleted, first those that somebody deletes; they run on for their grace period."""
        by_others = {pod_of(name, rank) for rank in self.deleted}
        pods = [pod for pod in self.emulator.objects("Pod") if pod.startswith(f"{name}-node-0-")]
        for pod in sorted(pods, key=lambda pod: pod not in by_others):
            deleted = {"deletionTimestamp": f"2026-01-01T00:00:{0 if pod in by_others else 1:02d}Z"}
            self.emulator.patch("Pod", pod, {"metadata": deleted})

    def end_pod(self, name: str, rank: int) -> None:
        """End a pod with its exit code, or as Kubernetes does."""
        killed, code = self.killed.get(rank), self.exit_codes.get(rank, 143 if rank in self.killed else 0)
        if code:
            self.emulator.log(pod_of(name, rank)).text += f"error: node {rank} does not like it; fix it\n"
        end = container("node", terminated=ended(code, 2 if rank == 0 else 1, self.reason))
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [end]}
        by_cluster = {"reason": killed, "message": "so it is"} if killed else {}
        if pod_of(name, rank) in self.emulator.objects("Pod"):
            self.emulator.patch("Pod", pod_of(name, rank), {"status": {**status, **by_cluster}})

    def remove_pods(self, name: str, *kept: str) -> None:
        """Delete the pods of a job but some."""
        for pod, found in self.emulator.objects("Pod").items():
            if found["metadata"].get("labels", {}).get(JOB_LABEL) == name and pod not in kept:
                self.emulator.remove("Pod", pod)

    def put_pod(self, job: Manifest, rank: int, status: Manifest) -> None:
        """Create a pod as JobSet labels it; Kubernetes deletes it with the job."""
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        owner = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "name": name, "uid": uid}
        metadata = {"name": pod_of(name, rank), "labels": {JOB_LABEL: name}, "ownerReferences": [owner]}
        spec = {"containers": [{"name": "node"}]}
        self.emulator.put("Pod", {"apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status})
        if uid not in [found["metadata"]["uid"] for found in self.emulator.objects("TrainJob").values()]:
            self.emulator.remove("Pod", pod_of(name, rank))

    def patch(self, name: str, conditions: list[Manifest], **counts: int) -> None:
        """Set the status of a job, if it is still there."""
        if name in self.emulator.objects("TrainJob"):
            none = dict.fromkeys(("active", "failed", "ready", "succeeded", "suspended"), 0)
            status = {"conditions": conditions, "jobsStatus": [{"name": "node", **none, **counts}]}
            self.emulator.patch("TrainJob", name, {"status": status})


def ended_as(name: str, reason: str, message: str) -> Manifest:
    """Return the condition of a job that has ended."""
    return {**condition(name, message), "reason": reason}


COMPLETE = ended_as("Complete", "AllJobsCompleted", "jobset completed successfully")


def pod_of(job: str, rank: int) -> str:
    """Return the name of a pod, whose end nobody can know beforehand."""
    return f"{job}-node-0-{rank}-x{rank}f{len(job)}q"
