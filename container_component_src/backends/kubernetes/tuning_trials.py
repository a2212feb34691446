"""Trials of a Katib experiment: how each ended, and why it failed."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from container_component_src.backends.kubernetes.tuning_manifest import CONTAINER
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of, is_true
from container_component_src.cluster.kinds import TRIAL
from container_component_src.cluster.logs import SHOWN_LINES, last_lines, list_pods
from container_component_src.cluster.pod_states import DEADLINE_EXCEEDED, termination
from container_component_src.cluster.start_up import NO_POD_LIMIT
from container_component_src.steps.training import Hyperparameters
from container_component_src.tuning.collector import OBJECTIVE
from container_component_src.tuning.experiment import Trial, TrialState
from container_component_src.values import validated

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"  # set by Katib on trials and on all pods of an experiment
TRIAL_LABEL = "katib.kubeflow.org/trial"  # set by Katib on the pods of a trial
COLLECTOR = "metrics-logger-and-collector"  # container that Katib adds; it prints the output of the trial

_FAILURE_CONDITIONS = ("Failed", "MetricsUnavailable", "Killed")
_LATE = f"had not ended after {{:g}} s: its --trial-timeout, and {NO_POD_LIMIT:g} s for a node to take its pod"
_READ_LINES = 50  # of a log; the last lines may be the collector's own
# A line of the collector: severity, date, time, process, file and line, text. It prints the lines of the trial with
# severity I, among a few lines of its own.
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\] (.*)")
_COLLECTOR_TEXTS = ("Trial Name: ", "Metrics reported", "Objective metric ")


@dataclass(frozen=True)
class Failure:
    """How a trial failed."""

    state: TrialState  # FAILED or TIMEOUT
    text: str  # cause, and last lines of the output


def trials_of(cluster: Cluster, experiment: Manifest) -> list[Manifest]:
    """Return the trials of an experiment in the order of their start.

    Trials of a deleted experiment of the same name, which may still exist, are left out.
    """
    name, uid = (experiment["metadata"][key] for key in ("name", "uid"))
    found = cluster.list(TRIAL, f"{EXPERIMENT_LABEL}={name}")
    own = [
        trial
        for trial in found
        if any(owner.get("uid") == uid for owner in trial["metadata"].get("ownerReferences", []))
    ]
    return sorted(own, key=_start)


def finished_trial(number: int, found: Manifest, failure: Failure | None) -> Trial:
    """Return a trial of the result.

    Args:
        number: Number of the trial, from 0.
        found: Trial object.
        failure: How it failed, if it did.
    """
    status = found.get("status", {})
    assignments = {item["name"]: item["value"] for item in found["spec"]["parameterAssignments"]}
    state = failure.state if failure else _success(found)
    if state is None:  # it was running when the experiment ended
        failure = Failure(TrialState.FAILED, "had not ended when the experiment did")
    return Trial(
        number=number,
        hyperparameters=validated(Hyperparameters, assignments),
        state=state or TrialState.FAILED,
        objective=objective_of(status) if failure is None else None,
        seconds=_seconds(found),
        failure=failure.text if failure else "",
    )


def objective_of(status: Manifest) -> float | None:
    """Return the smallest reported objective; None if there is none."""
    for metric in status.get("observation", {}).get("metrics") or []:
        if metric["name"] == OBJECTIVE:
            try:
                value = float(metric["min"])
            except ValueError:  # "unavailable"
                return None
            return value if math.isfinite(value) else None
    return None


def failure_of(cluster: Cluster, found: Manifest, timeout: float) -> Failure | None:
    """Return how a trial failed; None if it did not.

    Args:
        cluster: Cluster of the trial.
        found: Trial object.
        timeout: Seconds that a trial may take.
    """
    bad = next((condition for condition in _FAILURE_CONDITIONS if is_true(found, condition)), None)
    if bad is None or _success(found) is not None:
        return None
    failed = condition_of(found, bad)
    name = found["metadata"]["name"]
    pod = next(iter(list_pods(cluster, f"{TRIAL_LABEL}={name}")), None)
    if pod is None:
        if DEADLINE_EXCEEDED in f"{failed.get('reason')} {failed.get('message')}":
            return Failure(TrialState.TIMEOUT, _LATE.format(timeout + NO_POD_LIMIT))
        return Failure(TrialState.FAILED, "its pod was deleted from outside")
    lines, collector_error = _output(cluster, pod)
    state = TrialState.TIMEOUT if pod.status.reason == DEADLINE_EXCEEDED else TrialState.FAILED
    cause = _cause(pod, bad, timeout) or collector_error or failed.get("message") or failed.get("reason") or bad
    return Failure(state, f"{cause}: {' | '.join(lines)}")


def _cause(pod: Any, condition: str, timeout: float) -> str:
    """Return why the trial of a pod (`V1Pod`) failed; empty if the pod does not tell."""
    if pod.status.reason == DEADLINE_EXCEEDED:
        return f"stopped after {timeout:g} s, its --trial-timeout"
    if pod.status.reason:  # Evicted, NodeLost, …
        return f"{pod.status.reason} ({pod.status.message or 'no message'})"
    end = termination(pod, CONTAINER)
    if end is not None and end.exit_code:
        return f"exit code {end.exit_code}" + ("" if end.reason == "Error" else f" ({end.reason})")
    return f"no {OBJECTIVE}=<number> in the output" if condition == "MetricsUnavailable" else ""


def _output(cluster: Cluster, pod: Any) -> tuple[list[str], str]:
    """Return the last lines of the trial of a pod (`V1Pod`), and the error of its collector, if it failed."""
    name, collector_error = pod.metadata.name, ""
    if any(container.name == COLLECTOR for container in pod.spec.containers):
        lines, collector_error = split_log(last_lines(cluster, name, COLLECTOR, _READ_LINES))
        if lines:
            return lines[-SHOWN_LINES:], collector_error
    return last_lines(cluster, name, CONTAINER), collector_error


def split_log(log: list[str]) -> tuple[list[str], str]:
    """Split the log of a collector into the output of the trial and the error of the collector, if there is one."""
    lines, collector_error = [], ""
    for line in log:
        match = _KLOG.match(line)
        if match is None:
            continue  # the collector's own report of the metrics, which has several lines
        severity, text = match.groups()
        if severity == "F":
            collector_error = f"metrics collector: {text}"
        elif severity == "I" and text and not text.startswith(_COLLECTOR_TEXTS):
            lines.append(text)
    return lines, collector_error


def _success(found: Manifest) -> TrialState | None:
    for condition, state in (("Succeeded", TrialState.SUCCEEDED), ("EarlyStopped", TrialState.EARLY_STOPPED)):
        if is_true(found, condition):
            return state
    return None


def _start(found: Manifest) -> tuple[str, str, str]:
    metadata = found["metadata"]
    return found.get("status", {}).get("startTime") or "~", metadata.get("creationTimestamp", ""), metadata["name"]


def _seconds(found: Manifest) -> float:
    """Return how long a trial took, in seconds; a trial that was stopped early has no completion time."""
    status = found.get("status", {})
    start = status.get("startTime")
    end = status.get("completionTime") or condition_of(found, "EarlyStopped").get("lastTransitionTime")
    if not (start and end):
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
