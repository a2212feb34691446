"""Plays the training operator on the emulated cluster: pods of PyTorchJobs, their logs, and the jobs' status."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.backends.kubernetes.katib_controller import condition
from tests.cluster.emulator import Emulator

Manifest = dict[str, Any]
JOB_LABEL = "training.kubeflow.org/job-name"


@dataclass
class TrainingOperator:
    """The controller; a test says by its fields how things go."""

    emulator: Emulator
    exit_codes: dict[str, int] = field(default_factory=dict)  # by end of the pod's name, "worker-0"
    reason: str = "Error"  # why containers ended that failed
    lines: int = 5  # that the master writes one after the other
    pending: Manifest | None = None  # status of pods that do not start
    idle: bool = False  # never ends a job
    overdue: bool = False  # ends the job for its deadline
    handled: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look at all jobs again and again."""
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
        for pod in pods:
            self.put_pod(job, name, pod, self.pending or {"phase": "Running"})
        created = condition("Created")
        if self.pending is None:
            self.patch(name, [created, condition("Running")])
            log = self.emulator.log(f"{name}-master-0")
            log.open = True
            for number in range(self.lines):
                log.text += f"epoch {number}\n"
                time.sleep(0.02)
            log.open = self.idle
        if self.overdue:
            late = condition("Failed", f"PyTorchJob {name} has failed because it was active longer than deadline")
            self.patch(name, [created, {**late, "reason": "DeadlineExceeded"}])
        elif not self.idle and self.pending is None:
            self.end(name, job, pods)

    def end(self, name: str, job: Manifest, pods: list[str]) -> None:
        """End the pods and say how it went."""
        for pod in pods:
            code = self.exit_codes.get(pod, 0)
            if code:
                self.emulator.log(f"{name}-{pod}").text += f"error: {pod} does not like it; mend it\n"
            finished = "2026-01-01T00:00:02Z" if pod.startswith("master") else "2026-01-01T00:00:01Z"
            end = {"exitCode": code, "reason": self.reason if code else "Completed", "finishedAt": finished}
            container = {"name": "pytorch", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
            phase = "Failed" if code else "Succeeded"
            status = {"phase": phase, "containerStatuses": [{**container, "state": {"terminated": end}}]}
            self.emulator.patch("Pod", f"{name}-{pod}", {"status": status})
        ending = "Failed" if any(self.exit_codes.values()) else "Succeeded"
        # The condition that holds is not the last one.
        self.patch(name, [condition("Created"), condition(ending, "job ended"), condition("Running", status="False")])

    def put_pod(self, job: Manifest, name: str, pod: str, status: Manifest) -> None:
        """Create a pod as the operator labels it."""
        owner = job["metadata"]
        self.emulator.put(
            "Pod",
            {
                "apiVersion": "v1",
                "metadata": {
                    "name": f"{name}-{pod}",
                    "labels": {JOB_LABEL: name},
                    "ownerReferences": [
                        {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": name, "uid": owner["uid"]}
                    ],
                },
                "spec": {"containers": [{"name": "pytorch"}]},
                "status": status,
            },
        )

        if owner["uid"] not in [found["metadata"]["uid"] for found in self.emulator.objects("PyTorchJob").values()]:
            self.emulator.remove("Pod", f"{name}-{pod}")  # as Kubernetes does with what has lost its owner

    def patch(self, name: str, conditions: list[Manifest]) -> None:
        """Set the conditions of a job, if it is still there."""
        if name in self.emulator.objects("PyTorchJob"):
            self.emulator.patch("PyTorchJob", name, {"status": {"conditions": conditions}})


@contextmanager
def playing(controller: TrainingOperator) -> Iterator[TrainingOperator]:
    """Run the controller until the block is left."""
    thread = threading.Thread(target=controller.run)
    thread.start()
    try:
        yield controller
    finally:
        controller.stopped.set()
        thread.join()
