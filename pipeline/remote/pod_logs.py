"""The end of the logs of a run's failed pods, as the UI of Kubeflow Pipelines serves them.

The API says neither why a task failed nor in which pod: its tasks are the nodes of Argo's workflow, each with the ids
of the nodes below it. A pod is named after its workflow, then its template, then the hash that ends its node's id.
"""

from collections.abc import Container, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from container_component_src.errors import PipelineError
from pipeline.remote.client import get_text
from pipeline.remote.problems import PlatformError
from pipeline.remote.workspace import Workspace

EXECUTOR = "executor"  # Argo's node below a task's, that runs the container; attempts are `executor(0)`, `executor(1)`
# Of steps with and without retries; newer versions also say how many annotations and labels the pods are given.
TEMPLATES = tuple(
    f"{metadata}{retry}system-container-impl" for retry in ("retry-", "") for metadata in ("metadata-0-1-", "")
)
_LINES = 20
_NO_LOG = {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}  # there is no such pod


def failed_logs(workspace: Workspace, run_id: str, tasks: Sequence[Any], step_tasks: Container[str]) -> list[str]:
    """The last lines of each failed step's last attempt; the way to the pods where the logs cannot be had.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        tasks: Its failed tasks, as the API lists them.
        step_tasks: Names of the tasks that are steps.
    """
    lines: list[str] = []
    try:
        for task in tasks:
            if task.display_name in step_tasks or task.display_name.startswith(EXECUTOR):
                lines += _last_lines(workspace, run_id, task)
    except PipelineError:
        pass  # an aid, that the UI may not offer
    return lines or [
        f"logs: kubectl --namespace {workspace.namespace} get pods --selector pipeline/runid={run_id} "
        "--field-selector status.phase=Failed"
    ]


def pod_names(node: str) -> Iterator[str]:
    """The names that the pod of one of Argo's nodes may have."""
    workflow, _, node_hash = node.rpartition("-")
    for template in TEMPLATES:
        yield f"{workflow}-{template}-{node_hash}"
    yield node  # as older versions of Argo name it


def _last_lines(workspace: Workspace, run_id: str, task: Any) -> list[str]:
    nodes = [task.pod_name, *(child.pod_name for child in task.child_tasks or [])]
    for node in reversed([node for node in nodes if node]):
        for pod in pod_names(node):
            if log := _log(workspace, run_id, pod):
                return [f"log of {pod}:", *(f"  {line}" for line in log.rstrip().splitlines()[-_LINES:])]
    return []


def _log(workspace: Workspace, run_id: str, pod: str) -> str:
    query = {"podname": pod, "podnamespace": workspace.namespace, "runid": run_id}
    try:
        return get_text(workspace.client, "/k8s/pod/logs", query)
    except PlatformError as error:
        if error.status not in _NO_LOG:
            raise
        return ""
