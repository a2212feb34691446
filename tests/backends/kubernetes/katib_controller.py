"""Fake Katib on the emulated cluster: trials, their pods and logs, and the status of experiments."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any

from tests.cluster.emulator import Emulator
from tests.cluster.warning_events import event_of

Manifest = dict[str, Any]
START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"
TIMEOUT = "timeout"  # instead of a loss
KLOG = "I0101 00:00:00.000000      19 main.go:143] "


def condition(name: str, message: str = "", status: str = "True") -> Manifest:
    return {
        "type": name,
        "status": status,
        "reason": f"Reason{name}",
        "message": message,
        "lastTransitionTime": END,
    }


def has_ended(experiment: Manifest) -> bool:
    """Return whether an experiment has ended, after which Katib runs no trial."""
    return any(item["type"] in {"Succeeded", "Failed"} for item in experiment.get("status", {}).get("conditions", ()))


@dataclass
class Katib:
    """Controller; the fields set its behaviour."""

    emulator: Emulator
    losses: Callable[[Manifest], float | str | None] = lambda chosen: float(chosen["latent_dim"])  # None fails
    stopped_early: int = 0  # number of first trials that stop early
    idle: bool = False  # starts no trial
    refused: str = ""  # reason in an event why no pod of a trial is created
    suggestion_error: str = ""  # reason in an event why no trial is suggested
    podless: bool = False  # pods of failed trials are deleted
    forgetful: bool = False  # reports no optimum
    handled: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Reconcile all experiments until stopped."""
        while not self.stopped.wait(0.01):
            for name, experiment in self.emulator.objects("Experiment").items():
                if experiment["metadata"]["uid"] not in self.handled and not has_ended(experiment):
                    self.handled.add(experiment["metadata"]["uid"])
                    self.reconcile(name, experiment)
                    self.collect(name, experiment["metadata"]["uid"])
                if self.suggestion_error:  # repeated as long as it lasts
                    self.event("Suggestion", name, "ReconcileError", self.suggestion_error)

    def reconcile(self, name: str, experiment: Manifest) -> None:
        """Run the trials of an experiment, one after the other."""
        self.emulator.patch("Experiment", name, {"status": {"conditions": [condition("Created")]}})
        if self.suggestion_error:
            return  # neither the experiment nor the suggestion says that anything is wrong
        service = self.pod(experiment, f"{name}-{experiment['spec']['algorithm']['algorithmName']}-abc", {}, "Running")
        trials: dict[str, list[str]] = {state: [] for state in ("succeeded", "earlyStopped", "failed", "unavailable")}
        if self.idle or self.refused:
            self.hang(name, experiment)
            return
        spec = experiment["spec"]
        axes = [[(axis["name"], value) for value in axis["feasibleSpace"]["list"]] for axis in spec["parameters"]]
        points = [dict(point) for point in product(*axes)][: spec["maxTrialCount"]]
        results, ending = [], "Succeeded"
        for number, point in enumerate(points):
            trial, state, loss = self.trial(experiment, number, point)
            trials[state].append(trial)
            if isinstance(loss, float):
                results.append((trial, loss))
            bad = len(trials["failed"]) + len(trials["unavailable"])
            if bad >= max(1, spec.get("maxFailedTrialCount", len(points) + 1)):
                ending = "Failed"
                break
        best = min(results, default=None, key=lambda item: item[1])
        optimum = {} if best is None or self.forgetful else {
            "bestTrialName": best[0], "observation": observation(best[1]),
        }  # fmt: skip
        self.emulator.remove("Pod", service["metadata"]["name"])  # resume policy Never
        message = "Experiment has failed because max failed count has reached" if ending == "Failed" else ""
        # The condition that holds is not the last one.
        conditions = [condition("Created"), condition(ending, message), condition("Running", status="False")]
        self.emulator.patch(
            "Experiment",
            name,
            {"status": {"conditions": conditions, "currentOptimalTrial": optimum, **summary(trials)}},
        )

    def hang(self, name: str, experiment: Manifest) -> None:
        """An experiment that runs, by Katib's account, whatever its trials do."""
        status: Manifest = {"conditions": [condition("Created"), condition("Running")]}
        if self.refused:
            job = f"{name}-00000000"
            self.event("Job", job, "FailedCreate", self.refused)
            status |= {"trials": 1, "trialsRunning": 1, "runningTrialList": [job]}
        self.emulator.patch("Experiment", name, {"status": status})

    def trial(self, experiment: Manifest, number: int, chosen: Manifest) -> tuple[str, str, float | str | None]:
        """Create a trial that has ended and its pod, as the owner references of the real ones chain them."""
        owner = experiment["metadata"]
        name, loss = f"{owner['name']}-{number:08d}", self.losses(chosen)
        state, said = "succeeded", condition("Succeeded", "Trial has succeeded")
        if number < self.stopped_early:
            state, said = "earlyStopped", condition("EarlyStopped", "Trial is early stopped")
        elif loss is None or loss == TIMEOUT:
            state = "failed"
            said = condition("Failed", "Trial has failed. Job message: Job has reached the specified backoff limit")
        elif isinstance(loss, str):
            state, said = "unavailable", condition("MetricsUnavailable", "Metrics are not available.")
        end = {} if state == "earlyStopped" else {"completionTime": END}
        trial = self.put_trial(owner, name, chosen, number)
        pod = f"{name}-abcde"
        if not (self.podless and state == "failed"):
            self.pod(trial, pod, {"katib.kubeflow.org/trial": name}, "Failed" if state == "failed" else "Succeeded")
            self.emulator.patch("Pod", pod, {"status": pod_end(loss)})
            self.write_log(pod, number, failed=loss is None)
        status = {"startTime": START, "conditions": [condition("Running", status="False"), said], **end}
        seen = {"observation": observation(loss)} if loss is not None and loss != TIMEOUT else {}
        self.emulator.patch("Trial", name, {"status": {**status, **seen}})
        return name, state, loss

    def collect(self, name: str, uid: str) -> None:
        """Remove what was made for an experiment after its deletion, as Kubernetes does without an owner."""
        if uid in [found["metadata"]["uid"] for found in self.emulator.objects("Experiment").values()]:
            return
        for kind in ("Trial", "Pod"):
            for made, found in self.emulator.objects(kind).items():
                if found["metadata"]["labels"].get("katib.kubeflow.org/experiment") == name:
                    self.emulator.remove(kind, made)

    def put_trial(self, owner: Manifest, name: str, chosen: Manifest, number: int) -> Manifest:
        """Create a trial of an experiment."""
        return self.emulator.put(
            "Trial",
            {
                "apiVersion": "kubeflow.org/v1beta1",
                "metadata": {
                    "name": name,
                    "labels": {"katib.kubeflow.org/experiment": owner["name"]},
                    "creationTimestamp": f"2026-01-01T00:00:{number:02d}Z",
                    "ownerReferences": [reference("Experiment", owner)],
                },
                "spec": {"parameterAssignments": [{"name": key, "value": value} for key, value in chosen.items()]},
                "status": {"startTime": START, "conditions": [condition("Running")]},
            },
        )

    def pod(self, owner: Manifest, name: str, labels: Manifest, phase: str) -> Manifest:
        """Create a pod of an experiment, with the collector beside the trial where it is one of a trial."""
        experiment = owner["metadata"].get("labels", {}).get("katib.kubeflow.org/experiment", owner["metadata"]["name"])
        containers = [{"name": "training"}, {"name": "metrics-logger-and-collector"}] if labels else [{"name": "s"}]
        return self.emulator.put(
            "Pod",
            {
                "apiVersion": "v1",
                "metadata": {
                    "name": name,
                    "labels": {"katib.kubeflow.org/experiment": experiment, **labels},
                    "ownerReferences": [reference(owner["kind"], owner["metadata"])],
                },
                "spec": {"containers": containers},
                "status": {"phase": phase},
            },
        )

    def write_log(self, pod: str, number: int, failed: bool) -> None:
        """What the collector prints for the trial; the trial's own container prints nothing."""
        self.emulator.log(pod).text = ""
        lines = [f"{KLOG}starting", f"{KLOG}error: dataset {number} is broken; fix it"]
        if failed:
            lines.append("F0101 00:00:00.000000      19 main.go:425] Failed to wait for worker container: no such file")
        else:
            lines.append('metric_logs:{time_stamp:"0001-01-01T00:00:00Z"}')
        log = "\n".join([f"{KLOG.replace('143', '400')}Trial Name: {pod}", *lines])
        self.emulator.log(pod, "metrics-logger-and-collector").text = f"{log}\n"

    def event(self, kind: str, name: str, reason: str, message: str) -> None:
        """Write a Warning event that is seen now."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.emulator.put("Event", event_of(kind, name, reason, message, now))


def reference(kind: str, metadata: Manifest) -> Manifest:
    return {"apiVersion": "kubeflow.org/v1beta1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}


def summary(trials: dict[str, list[str]]) -> Manifest:
    """The counts and lists of an experiment's status; what is 0 is left out, as Katib does."""
    names = {
        "succeeded": ("trialsSucceeded", "succeededTrialList"),
        "earlyStopped": ("trialsEarlyStopped", "earlyStoppedTrialList"),
        "failed": ("trialsFailed", "failedTrialList"),
        "unavailable": ("trialMetricsUnavailable", "metricsUnavailableTrialList"),
    }
    status: Manifest = {"trials": sum(map(len, trials.values()))}
    for state, found in trials.items():
        if found:
            status |= {names[state][0]: len(found), names[state][1]: found}
    return status


def pod_end(loss: float | str | None) -> Manifest:
    """The status of a trial's pod that has ended."""
    if loss == TIMEOUT:
        return {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the deadline"}
    code, reason = (1, "Error") if loss is None else (0, "Completed")
    ended = {"exitCode": code, "reason": reason, "finishedAt": END}
    return {
        "containerStatuses": [
            {"name": "training", "image": "i", "imageID": "i", "ready": False, "restartCount": 0,
             "state": {"terminated": ended}}
        ]
    }  # fmt: skip


def observation(loss: float | str) -> Manifest:
    latest = loss if isinstance(loss, str) else loss + 1
    return {
        "metrics": [
            {"name": "train_loss", "min": "-9", "max": "0", "latest": "0"},
            {"name": "val_loss", "min": str(loss), "max": str(latest), "latest": str(latest)},
        ]
    }
