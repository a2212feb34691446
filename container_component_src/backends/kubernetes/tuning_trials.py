"""The trials of a Katib experiment: how each ended, and why those failed that did."""

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
from container_component_src.cluster.pod_states import termination
from container_component_src.cluster.start_up import NO_POD_LIMIT
from container_component_src.steps.training import Hyperparameters
from container_component_src.tuning.collector import OBJECTIVE
from container_component_src.tuning.experiment import Trial, TrialState
from container_component_src.values import validated

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"  # that Katib gives to trials and to all pods of an experiment
TRIAL_LABEL = "katib.kubeflow.org/trial"  # that it gives to the pods of a trial
COLLECTOR = "metrics-logger-and-collector"  # the container that it adds to them, which prints what the trial prints

_BAD_CONDITIONS = ("Failed", "MetricsUnavailable", "Killed")
_DEADLINE = "DeadlineExceeded"
_LATE = f"had not ended after {{:g}} s: its --trial-timeout, and {NO_POD_LIMIT:g} s for a node to take its pod"
_READ_LINES = 50  # of a log: the last lines may be the collector's own
# A line of the collector: severity, date, time, process, file and line, text. It prints the lines of the trial as its
# own of severity I; between those are few that it really has to say itself.
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\] (.*)")
_OWN_TEXTS = ("Trial Name: ", "Metrics reported", "Objective metric ")


@dataclass(frozen=True)
class Failure:
    """How a trial failed."""

    state: TrialState  # FAILED or TIMEOUT
    text: str  # the cause, and the last lines of the output


def trials_of(cluster: Cluster, experiment: Manifest) -> list[Manifest]:
    """The trials of an experiment in the order of their start.

    Trials of a deleted experiment may outlive it, so that one of the same name finds them: they are left out.
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
    """A trial of the result.

    Args:
        number: Of the trial, from 0.
        found: The object.
        failure: How it failed, if it did.
    """
    status = found.get("status", {})
    assignments = {item["name"]: item["value"] for item in found["spec"]["parameterAssignments"]}
    state = failure.state if failure else _good_state(found)
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
    """The smallest report of the objective; None where there is none."""
    for metric in status.get("observation", {}).get("metrics") or []:
        if metric["name"] == OBJECTIVE:
            try:
                value = float(metric["min"])
            except ValueError:  # "unavailable"
                return None
            return value if math.isfinite(value) else None
    return None


def failure_of(cluster: Cluster, found: Manifest, timeout: float) -> Failure | None:
    """How a trial failed; None if it did not.

    Args:
        cluster: Where it is.
        found: The object.
        timeout: Seconds that a trial may take.
    """
    bad = next((condition for condition in _BAD_CONDITIONS if is_true(found, condition)), None)
    if bad is None or _good_state(found) is not None:
        return None
    said = condition_of(found, bad)
    name = found["metadata"]["name"]
    pod = next(iter(list_pods(cluster, f"{TRIAL_LABEL}={name}")), None)
    if pod is None:
        if _DEADLINE in f"{said.get('reason')} {said.get('message')}":
            return Failure(TrialState.TIMEOUT, _LATE.format(timeout + NO_POD_LIMIT))
        return Failure(TrialState.FAILED, "its pod was deleted from outside")
    lines, complaint = _output(cluster, pod)
    state = TrialState.TIMEOUT if pod.status.reason == _DEADLINE else TrialState.FAILED
    cause = _cause(pod, bad, timeout) or complaint or said.get("message") or said.get("reason") or bad
    return Failure(state, f"{cause}: {' | '.join(lines)}")


def _cause(pod: Any, condition: str, timeout: float) -> str:
    """Why the trial of a pod (`V1Pod`) failed; empty where the pod does not tell."""
    if pod.status.reason == _DEADLINE:
        return f"stopped after {timeout:g} s, its --trial-timeout"
    if pod.status.reason:  # Evicted, NodeLost, …
        return f"{pod.status.reason} ({pod.status.message or 'no message'})"
    end = termination(pod, CONTAINER)
    if end is not None and end.exit_code:
        return f"exit code {end.exit_code}" + ("" if end.reason == "Error" else f" ({end.reason})")
    return f"no {OBJECTIVE}=<number> in the output" if condition == "MetricsUnavailable" else ""


def _output(cluster: Cluster, pod: Any) -> tuple[list[str], str]:
    """The last lines that the trial of a pod (`V1Pod`) printed, and why its collector failed, if it did."""
    name, complaint = pod.metadata.name, ""
    if any(container.name == COLLECTOR for container in pod.spec.containers):
        lines, complaint = split_log(last_lines(cluster, name, COLLECTOR, _READ_LINES))
        if lines:
            return lines[-SHOWN_LINES:], complaint
    return last_lines(cluster, name, CONTAINER), complaint


def split_log(log: list[str]) -> tuple[list[str], str]:
    """What a trial printed, and the error of the collector, of the lines of a collector's log."""
    lines, complaint = [], ""
    for line in log:
        match = _KLOG.match(line)
        if match is None:
            continue  # the collector's own: the report of the metrics has more than one line
        severity, text = match.groups()
        if severity == "F":
            complaint = f"metrics collector: {text}"
        elif severity == "I" and text and not text.startswith(_OWN_TEXTS):
            lines.append(text)
    return lines, complaint


def _good_state(found: Manifest) -> TrialState | None:
    for condition, state in (("Succeeded", TrialState.SUCCEEDED), ("EarlyStopped", TrialState.EARLY_STOPPED)):
        if is_true(found, condition):
            return state
    return None


def _start(found: Manifest) -> tuple[str, str, str]:
    metadata = found["metadata"]
    return found.get("status", {}).get("startTime") or "~", metadata.get("creationTimestamp", ""), metadata["name"]


def _seconds(found: Manifest) -> float:
    """How long a trial took; one that was stopped early has no time of completion."""
    status = found.get("status", {})
    start = status.get("startTime")
    end = status.get("completionTime") or condition_of(found, "EarlyStopped").get("lastTransitionTime")
    if not (start and end):
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
