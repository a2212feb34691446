"""Simulated Argo Workflow of a run, with the names that Kubeflow Pipelines compiles.

A step consists of a driver, a task and an executor below the task. The executor of a retried step has a node for each
attempt.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.pipeline.remote.gateways import PROFILE

WORKFLOW = "columbus-eclss-ad-pipeline-x7k2p"
BEGAN, ENDED = "2026-01-02T03:04:05Z", "2026-01-02T03:05:35Z"
STEPS = "root.exit-handler-1"
TASK_PATHS = {  # of the tasks that are not directly below STEPS
    "split-parquet-file": f"{STEPS}.split-archives.for-loop-1.iteration-item(0:0)",
    "deploy-to-kserve": f"{STEPS}.deploy-if-good.condition-1",
    "cleanup": f"{STEPS}.onExit",
}
_DRIVER, _EXECUTOR = "system-container-driver", "retry-system-container-executor"
_IMPLEMENTATION = "metadata-0-1-retry-system-container-impl"
_DONE = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"}


@dataclass(frozen=True)
class Task:
    """Snapshot of a step.

    Attributes:
        phase: Argo's phase of the last attempt.
        attempts: Number of attempts.
        message: Argo's message for the last attempt.
        retried: Whether attempts are nodes of their own.
        cached: Whether the executor was skipped.
        driver: Phase of the driver; there are attempts only after it has succeeded.
        driver_message: Argo's message for the driver.
        ended: End of the last attempt.
    """

    phase: str = "Succeeded"
    attempts: int = 1
    message: str = ""
    retried: bool = True
    cached: bool = False
    driver: str = "Succeeded"
    driver_message: str = ""
    ended: str = ENDED


def manifest(run_id: str, tasks: Mapping[str, Task], phase: str = "Running", gate_closed: bool = False) -> Any:
    """Return the manifest of a run's Workflow.

    Args:
        run_id: ID of the run.
        tasks: Steps by the names of their tasks.
        phase: Phase of the Workflow.
        gate_closed: Whether the condition of the deployment was false.
    """
    nodes = _inner_nodes({path_of(name) for name in tasks}, phase)
    for name, task in tasks.items():
        nodes += step_nodes(name, task)
    if gate_closed:
        path = f"{WORKFLOW}.{TASK_PATHS['deploy-to-kserve']}"
        nodes += [
            _node(f"{prefix}-driver", "Pod", "Succeeded", "system-dag-driver")
            for prefix in (path, path.rpartition(".")[0])
        ]
        nodes.append(_node(path, "Skipped", "Skipped", message="when 'false != false' evaluated false"))
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": WORKFLOW,
            "namespace": PROFILE,
            "labels": {"pipeline/runid": run_id},
            "annotations": {"workflows.argoproj.io/pod-name-format": "v2"},
        },
        "spec": {"entrypoint": "entrypoint"},
        "status": {"phase": phase, "nodes": {node["id"]: node for node in nodes}},
    }


def step_nodes(name: str, task: Task) -> list[dict[str, Any]]:
    """Return the nodes of a step."""
    path = f"{WORKFLOW}.{path_of(name)}.{name}"
    driver = _node(f"{path}-driver", "Pod", task.driver, _DRIVER, message=task.driver_message)
    if task.driver != "Succeeded":
        return [driver, *([_omitted(path)] if task.driver in _DONE else [])]
    if task.cached:
        skipped = _node(f"{path}.executor", "Skipped", "Skipped", message="when 'true != true' evaluated false")
        return [driver, _node(path, "DAG", "Succeeded", _EXECUTOR, [skipped["id"]]), skipped]
    if not task.retried:
        pod = _node(f"{path}.executor", "Pod", task.phase, _IMPLEMENTATION, message=task.message, ended=task.ended)
        return [driver, _node(path, "DAG", _inner_phase(task), _EXECUTOR, [pod["id"]]), pod]
    phases = ["Failed"] * (task.attempts - 1) + [task.phase]
    attempts = [
        _node(f"{path}.executor({index})", "Pod", phase, _IMPLEMENTATION, message=message, ended=task.ended)
        for index, phase in enumerate(phases)
        for message in [task.message if index == task.attempts - 1 else "Error (exit code 1)"]
    ]
    retry = _node(
        f"{path}.executor",
        "Retry",
        _inner_phase(task),
        _IMPLEMENTATION,
        [attempt["id"] for attempt in attempts],
        message=task.message if task.phase in {"Failed", "Error"} else "",
    )
    return [driver, _node(path, "DAG", _inner_phase(task), _EXECUTOR, [retry["id"]]), retry, *attempts]


def path_of(name: str) -> str:
    """Return the path of a task: the nodes above it, without that of the Workflow itself."""
    return TASK_PATHS.get(name, STEPS)


def pod_of(name: str, attempt: int = 0) -> str:
    """Return the name of the pod of an attempt."""
    return f"{WORKFLOW}-{_IMPLEMENTATION}-{_hash(f'{WORKFLOW}.{path_of(name)}.{name}.executor({attempt})')}"


def driver_of(name: str) -> str:
    """Return the name of the pod of a driver."""
    return f"{WORKFLOW}-{_DRIVER}-{_hash(f'{WORKFLOW}.{path_of(name)}.{name}-driver')}"


def gate_driver() -> str:
    """Return the name of the pod that hands the outputs of the gate on to the deployment."""
    path = TASK_PATHS["deploy-to-kserve"].rpartition(".")[0]
    return f"{WORKFLOW}-system-dag-driver-{_hash(f'{WORKFLOW}.{path}-driver')}"


def _inner_nodes(paths: set[str], phase: str) -> list[dict[str, Any]]:
    """Return the nodes of the Workflow itself and of pipelines, loops and exit handlers with their drivers."""
    inner = phase if phase in {"Running", "Succeeded"} else "Failed"
    nodes = [_node(WORKFLOW, "DAG", inner, "entrypoint")]
    for path in sorted({prefix for whole in paths for prefix in _prefixes(whole)}):
        nodes.append(_node(f"{WORKFLOW}.{path}", "DAG", inner))
        if not path.endswith(".onExit"):
            nodes.append(_node(f"{WORKFLOW}.{path}-driver", "Pod", "Succeeded", "system-dag-driver"))
    return nodes


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _inner_phase(task: Task) -> str:
    return "Running" if task.phase == "Pending" else task.phase


def _omitted(path: str) -> dict[str, Any]:
    return _node(path, "Skipped", "Omitted", message="omitted: depends condition not met")


def _node(
    name: str,
    kind: str,
    phase: str,
    template: str = "",
    children: list[str] | None = None,
    message: str = "",
    ended: str = ENDED,
) -> dict[str, Any]:
    return {
        "id": f"{WORKFLOW}-{_hash(name)}" if name != WORKFLOW else WORKFLOW,
        "name": name,
        "displayName": name.rpartition(".")[2] if not name.endswith(".onExit") else name,
        "type": kind,
        "phase": phase,
        "startedAt": BEGAN,
        "finishedAt": ended if phase in _DONE else None,
        **({"templateName": template} if template else {}),
        **({"message": message} if message else {}),
        **({"children": children} if children else {}),
    }


def _hash(name: str) -> int:
    return zlib.crc32(name.encode())
