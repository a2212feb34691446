"""Fake training operator on the emulated cluster: pods of PyTorchJobs, their logs, and the jobs' status.

What it does was seen on training operator 1.9.2: pods that the API refuses leave a job without any status; a job is
Running as soon as its master is; workers wait for the master in an init container, which gives up after a while; the
first failed replica fails the job, and pods that have not ended then are deleted; a deleted pod counts as failed.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.backends.kubernetes.katib_controller import condition
from tests.cluster.emulated_objects import Log
from tests.cluster.emulator import Emulator

Manifest = dict[str, Any]
JOB_LABEL = "training.kubeflow.org/job-name"
TYPE_LABEL = "training.kubeflow.org/replica-type"
MASTER = "master-0"
INIT_LOG = "waiting for master\n"
UNSCHEDULABLE: Manifest = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}],
}
_TIMEOUT = 30.0  # seconds


def container(name: str, **state: Manifest) -> Manifest:
    """The status of a container."""
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def ended(code: int, second: int, reason: str = "Error") -> Manifest:
    """The state of a container that ended in a second of the minute."""
    return {
        "exitCode": code,
        "reason": reason if code else "Completed",
        "finishedAt": f"2026-01-01T00:00:{second:02d}Z",
    }


def wait_for_looks(emulator: Emulator, stopped: threading.Event, count: int) -> None:
    """Wait until the step has listed the pods a number of times, or until the controller is stopped."""

    def looks() -> int:
        return sum(path.endswith("/pods") for _, path in emulator.requests())

    before, deadline = looks(), time.monotonic() + _TIMEOUT
    while looks() < before + count and time.monotonic() < deadline and not stopped.wait(0.01):
        pass


def write_epochs(log: Log, lines: int, goes_on: bool) -> None:
    """Write a log line by line."""
    log.open = True
    for number in range(lines):
        log.text += f"epoch {number}\n"
        time.sleep(0.02)
    if not goes_on:  # otherwise, a test may have closed it after the last line
        log.open = False


@dataclass
class TrainingOperator:
    """Controller; the fields set its behaviour. Pods are named by their suffix: "worker-0"."""

    emulator: Emulator
    exit_codes: dict[str, int] = field(default_factory=dict)
    reason: str = "Error"  # reason of failed containers
    lines: int = 5  # number of lines that the master writes
    pending: dict[str, Manifest] = field(default_factory=dict)  # status of pods that do not start
    refused: set[str] = field(default_factory=set)  # pods that a quota refuses
    late: int = 0  # number of first jobs whose master starts only after the workers give up
    deaf: bool = False  # workers cannot reach the running master
    deleted: set[str] = field(default_factory=set)  # pods that are deleted while they run
    killed: dict[str, str] = field(default_factory=dict)  # reason why Kubernetes ends a pod
    idle: bool = False  # never ends a job
    overdue: bool = False  # the deadline of the job has passed, and the operator notices
    handled: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Reconcile all jobs until stopped."""
        while not self.stopped.wait(0.01):
            for name, job in self.emulator.objects("PyTorchJob").items():
                if job["metadata"]["uid"] not in self.handled:
                    self.handled.add(job["metadata"]["uid"])
                    self.reconcile(name, job)

    def reconcile(self, name: str, job: Manifest) -> None:
        """Start the pods of a job, let them write, and end it."""
        pods = [
            f"{kind.lower()}-{index}"
            for kind, replicas in job["spec"]["pytorchReplicaSpecs"].items()
            for index in range(replicas["replicas"])
        ]
        waiting, self.late = self.late > 0, max(0, self.late - 1)
        pending = {MASTER: UNSCHEDULABLE, **self.pending} if waiting else self.pending
        for pod in pods:
            if pod not in self.refused:
                self.put_pod(job, name, pod, pending.get(pod) or self._started(pod, MASTER not in pending))
        if self.refused:
            self.refuse(name)
        elif MASTER in pending:
            self.patch(name, [condition("Created")])
            if any(pod.startswith("worker") for pod in pods):
                self.give_up(name, [condition("Created")])
        else:
            self.patch(name, [condition("Created"), condition("Running")])
            self.write_log(name)
            self.end(name, pods)

    def _started(self, pod: str, master_runs: bool) -> Manifest:
        if pod == MASTER or (master_runs and not self.deaf):
            return {"phase": "Running"}
        return {"phase": "Pending", "initContainerStatuses": [container("init-pytorch", running={})]}

    def write_log(self, name: str) -> None:
        """Let the master write line by line."""
        write_epochs(self.emulator.log(f"{name}-{MASTER}"), self.lines, self.idle)

    def refuse(self, name: str) -> None:
        """Report only in an event that a pod is refused."""
        self.emulator.put(
            "Event",
            {
                "apiVersion": "v1",
                "metadata": {"name": f"{name}-refused"},
                "type": "Warning",
                "reason": "FailedCreatePod",
                "message": "Error creating: exceeded quota: few",
                "involvedObject": {"kind": "PyTorchJob", "name": name},
                "lastTimestamp": "2026-01-01T00:00:00Z",
            },
        )

    def give_up(self, name: str, conditions: list[Manifest]) -> None:
        """Let the first worker fail that waits for the master, once the step has seen the pods."""
        wait_for_looks(self.emulator, self.stopped, 2)
        end = container("init-pytorch", terminated=ended(1, 1))
        self.emulator.log(f"{name}-worker-0").text = INIT_LOG
        self.change_pod(f"{name}-worker-0", {"phase": "Failed", "initContainerStatuses": [end]})
        self.fail(name, conditions, "worker-0")

    def end(self, name: str, pods: list[str]) -> None:
        """End the pods and set the status of the job."""
        running = [condition("Created"), condition("Running", status="False")]
        if self.overdue:
            late = f"PyTorchJob {name} has failed because it was active longer than specified deadline"
            self.remove_running(name)
            self.patch(name, [condition("Created"), condition("Failed", late)])
        elif self.idle:
            return
        elif self.deaf:
            self.give_up(name, running)
        elif any(self.exit_codes.values()) or self.deleted or self.killed:
            for pod in pods:
                if pod in self.deleted:
                    self.emulator.remove("Pod", f"{name}-{pod}")
                elif pod in self.exit_codes or pod in self.killed:
                    self.end_pod(name, pod)
            self.fail(name, running, *({*self.exit_codes, *self.killed, *self.deleted} & {*pods}))
        else:
            for pod in pods:
                self.end_pod(name, pod)
            self.patch(name, [condition("Created"), condition("Succeeded", "job ended"), running[1]])

    def end_pod(self, name: str, pod: str) -> None:
        """End a pod with its exit code, or as Kubernetes does."""
        killed, code = self.killed.get(pod), self.exit_codes.get(pod, 143 if pod in self.killed else 0)
        if code:
            self.emulator.log(f"{name}-{pod}").text += f"error: {pod} does not like it; fix it\n"
        end = container("pytorch", terminated=ended(code, 2 if pod == MASTER else 1, self.reason))
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [end]}
        self.change_pod(f"{name}-{pod}", {**status, **({"reason": killed, "message": "so it is"} if killed else {})})

    def fail(self, name: str, conditions: list[Manifest], *pods: str) -> None:
        """Report failed replicas, and then delete the pods that have not ended."""
        counts = {kind: sum(pod.startswith(kind.lower()) for pod in pods) for kind in ("Master", "Worker")}
        replicas = {kind: {"failed": count} for kind, count in counts.items() if count}
        what = " ".join(f"{count} {kind} replica(s)" for kind, count in counts.items() if count)
        failed = condition("Failed", f"PyTorchJob {name} is failed because {what} failed.")
        # The condition that holds is not the last one.
        self.patch(name, [conditions[0], failed, *conditions[1:]], replicas)
        self.remove_running(name)

    def remove_running(self, name: str) -> None:
        """Delete the pods of a job that have not ended, as its policy says."""
        for pod, found in self.emulator.objects("Pod").items():
            of_job = found["metadata"].get("labels", {}).get(JOB_LABEL) == name
            if of_job and found["status"]["phase"] in ("Pending", "Running"):
                self.emulator.remove("Pod", pod)

    def put_pod(self, job: Manifest, name: str, pod: str, status: Manifest) -> None:
        """Create a pod as the operator labels it."""
        owner = job["metadata"]
        self.emulator.put(
            "Pod",
            {
                "apiVersion": "v1",
                "metadata": {
                    "name": f"{name}-{pod}",
                    "labels": {JOB_LABEL: name, TYPE_LABEL: pod.partition("-")[0]},
                    "ownerReferences": [
                        {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": name, "uid": owner["uid"]}
                    ],
                },
                "spec": {"containers": [{"name": "pytorch"}]},
                "status": status,
            },
        )

        if owner["uid"] not in [found["metadata"]["uid"] for found in self.emulator.objects("PyTorchJob").values()]:
            self.emulator.remove("Pod", f"{name}-{pod}")  # as Kubernetes does with objects without an owner

    def change_pod(self, pod: str, status: Manifest) -> None:
        """Set the status of a pod, if it is still there."""
        if pod in self.emulator.objects("Pod"):
            self.emulator.patch("Pod", pod, {"status": status})

    def patch(self, name: str, conditions: list[Manifest], replicas: Manifest | None = None) -> None:
        """Set the conditions of a job, if it is still there."""
        if name in self.emulator.objects("PyTorchJob"):
            status = {"conditions": conditions, "replicaStatuses": replicas or {}}
            self.emulator.patch("PyTorchJob", name, {"status": status})
