"""Logs of a run's pods, from Kubernetes, Kubeflow Pipelines or Argo's artifact store, whichever answers first."""

import json
import re

from container_component_src.cluster.logs import list_pods, read_log
from container_component_src.cluster.step import RUN_LABEL
from container_component_src.errors import PipelineError, StepError
from pipeline.remote.archived_logs import read_archived_log
from pipeline.remote.client import get_text
from pipeline.remote.workflow import Node
from pipeline.remote.workspace import Workspace

_NODE_NAME = "workflows.argoproj.io/node-name"  # annotation of a Workflow's pods
_CONTAINER = "main"
_MAX_LINES = 500  # the launcher adds lines after those of the step
_ABSENT = re.compile(r"not ?found|does not exist|no such|\b404\b", re.I)


def node_log(workspace: Workspace, run_id: str, node: Node) -> str:
    """Return the end of the log of a node's pod, or an empty text if it cannot be read.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        node: Node of the run's Workflow.
    """
    return (
        _from_kubernetes(workspace, run_id, node)
        or _api_log(workspace, run_id, node)[0]
        or _ui_log(workspace, run_id, node)[0]
        or _from_store(workspace, node)
    )


def is_pod_absent(workspace: Workspace, run_id: str, node: Node) -> bool:
    """Return whether Kubeflow Pipelines finds neither the pod of a node nor its log."""
    log, error = _api_log(workspace, run_id, node)
    if not log and not _ABSENT.search(error):  # some platforms serve logs on their pages only
        log, error = _ui_log(workspace, run_id, node)
    return not log and bool(_ABSENT.search(error))


def _from_kubernetes(workspace: Workspace, run_id: str, node: Node) -> str:
    cluster = workspace.cluster
    if cluster is None:
        return ""
    try:
        names = [
            pod.metadata.name
            for pod in list_pods(cluster, f"{RUN_LABEL}={run_id}")
            if (pod.metadata.annotations or {}).get(_NODE_NAME) == node.name
        ]
        return read_log(cluster, names[0], _CONTAINER, _MAX_LINES).strip() if names else ""
    except StepError:
        return ""


def _api_log(workspace: Workspace, run_id: str, node: Node) -> tuple[str, str]:
    """Return log and error of the API, whose errors have status 200, too."""
    try:
        text = get_text(workspace.client, f"/apis/v1alpha1/runs/{run_id}/nodes/{node.pod}/log").strip()
    except PipelineError as error:
        return "", str(error)
    try:
        answer = json.loads(text)
    except ValueError:
        return text, ""
    if isinstance(answer, dict) and "error_message" in answer:
        return "", str(answer["error_message"])
    return text, ""


def _ui_log(workspace: Workspace, run_id: str, node: Node) -> tuple[str, str]:
    """Return log and error of the UI, which reads Argo's store if the pod is gone."""
    query = {"podname": node.pod, "podnamespace": workspace.namespace, "runid": run_id}
    try:
        return get_text(workspace.client, "/k8s/pod/logs", query).strip(), ""
    except PipelineError as error:
        return "", str(error)


def _from_store(workspace: Workspace, node: Node) -> str:
    """Read Argo's store with the keys of the namespace."""
    if workspace.cluster is None or node.archived_log is None:
        return ""
    return read_archived_log(workspace.cluster, node.archived_log)
