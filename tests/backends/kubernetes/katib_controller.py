"""Plays Katib on the emulated cluster: trials, their pods and logs, and the status of experiments."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tests.cluster.emulator import Emulator

Manifest = dict[str, Any]
TIMES = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:30Z"}


def condition(name: str, message: str = "", status: str = "True") -> Manifest:
    return {"type": name, "status": status, "reason": f"Reason{name}", "message": message}


@dataclass
class Katib:
    """The controller; a test says by its fields how things go."""

    emulator: Emulator
    losses: Callable[[Manifest], float | str | None] = lambda chosen: float(chosen["latent_dim"])  # None fails
    stopped_early: int = 0  # so many of the first trials
    idle: bool = False  # starts no trial
    forgetful: bool = False  # reports no optimum
    handled: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look at all experiments again and again."""
        while not self.stopped.wait(0.01):
            for name, experiment in self.emulator.objects("Experiment").items():
                if experiment["metadata"]["uid"] not in self.handled:
                    self.handled.add(experiment["metadata"]["uid"])
                    self.reconcile(name, experiment)

    def reconcile(self, name: str, experiment: Manifest) -> None:
        """Run all trials of an experiment at once."""
        conditions = [condition("Created"), condition("Running")]
        self.emulator.patch("Experiment", name, {"status": {"conditions": conditions, "trialsRunning": 1}})
        if self.idle:
            return
        spec = experiment["spec"]
        axes = [[(axis["name"], value) for value in axis["feasibleSpace"]["list"]] for axis in spec["parameters"]]
        points = [dict(point) for point in product(*axes)][: spec["maxTrialCount"]]
        results = [self.trial(experiment, number, point) for number, point in enumerate(points)]
        failed = sum(result is None for result in results)
        best = min((result for result in results if result is not None), default=None, key=lambda item: item[1])
        optimum = {} if best is None or self.forgetful else {
            "bestTrialName": best[0], "observation": observation(best[1]),
        }  # fmt: skip
        ending = "Failed" if failed > spec["maxFailedTrialCount"] else "Succeeded"
        message = "Experiment has failed because max failed trials count has reached" if ending == "Failed" else ""
        self.emulator.patch(
            "Experiment",
            name,
            {
                "status": {
                    # The condition that holds is not the last one.
                    "conditions": [
                        condition("Created"),
                        condition(ending, message),
                        condition("Running", status="False"),
                    ],
                    "trialsRunning": 0,
                    "trialsSucceeded": len(results) - failed - self.stopped_early,
                    "trialsFailed": failed,
                    "trialsEarlyStopped": self.stopped_early,
                    "currentOptimalTrial": optimum,
                }
            },
        )

    def trial(self, experiment: Manifest, number: int, chosen: Manifest) -> tuple[str, float] | None:
        """Create a trial that has ended and its pod, as the owner references of the real ones chain them."""
        owner = experiment["metadata"]
        name, loss = f"{owner['name']}-{number:08d}", self.losses(chosen)
        state = "EarlyStopped" if number < self.stopped_early else "Failed" if loss is None else "Succeeded"
        state = "MetricsUnavailable" if isinstance(loss, str) else state
        trial = self.emulator.put(
            "Trial",
            {
                "apiVersion": "kubeflow.org/v1beta1",
                "metadata": {
                    "name": name,
                    "labels": {"katib.kubeflow.org/experiment": owner["name"]},
                    "creationTimestamp": f"2026-01-01T00:00:{number:02d}Z",
                    "ownerReferences": [
                        {
                            "apiVersion": "kubeflow.org/v1beta1",
                            "kind": "Experiment",
                            "name": owner["name"],
                            "uid": owner["uid"],
                        }
                    ],
                },
                "spec": {"parameterAssignments": [{"name": key, "value": value} for key, value in chosen.items()]},
                "status": {
                    **TIMES,
                    "conditions": [condition("Running", status="False"), condition(state, f"Trial has {state}")],
                    **({"observation": observation(loss)} if loss is not None else {}),
                },
            },
        )
        pod = f"{name}-abcde"
        self.emulator.put(
            "Pod",
            {
                "apiVersion": "v1",
                "metadata": {
                    "name": pod,
                    "labels": {"job-name": name},
                    "ownerReferences": [
                        {
                            "apiVersion": "kubeflow.org/v1beta1",
                            "kind": "Trial",
                            "name": name,
                            "uid": trial["metadata"]["uid"],
                        }
                    ],
                },
                "spec": {"containers": [{"name": "training"}]},
                "status": {"phase": "Failed" if loss is None else "Succeeded"},
            },
        )
        self.emulator.log(pod).text = f"starting\nerror: dataset {number} is broken; mend it\n"
        if owner["uid"] not in [found["metadata"]["uid"] for found in self.emulator.objects("Experiment").values()]:
            self.emulator.remove("Trial", name)  # as Kubernetes does with what has lost its owner
            self.emulator.remove("Pod", pod)
        return (name, loss) if isinstance(loss, float) else None


def observation(loss: float | str) -> Manifest:
    latest = loss if isinstance(loss, str) else loss + 1
    return {
        "metrics": [
            {"name": "train_loss", "min": "-9", "max": "0", "latest": "0"},
            {"name": "val_loss", "min": str(loss), "max": str(latest), "latest": str(latest)},
        ]
    }


@contextmanager
def playing(controller: Katib) -> Iterator[Katib]:
    """Run the controller until the block is left."""
    thread = threading.Thread(target=controller.run)
    thread.start()
    try:
        yield controller
    finally:
        controller.stopped.set()
        thread.join()
