"""Logs of a run's pods: from Kubernetes where it may be asked, else from Kubeflow Pipelines, else from the store."""

import json
import re

from container_component_src.cluster.logs import list_pods, read_log
from container_component_src.cluster.step import RUN_LABEL
from container_component_src.errors import PipelineError, StepError
from pipeline.remote.archived_logs import read_archived_log
from pipeline.remote.client import get_text
from pipeline.remote.workflow import Node
from pipeline.remote.workspace import Workspace

_NODE_NAME = "workflows.argoproj.io/node-name"  # annotation of the pods of a Workflow
_CONTAINER = "main"
_LINES = 500  # that are asked for; the launcher writes some after the step's own
_ABSENT = re.compile(r"not ?found|does not exist|no such|\b404\b", re.I)


def node_log(workspace: Workspace, run_id: str, node: Node) -> str:
    """The end of the log of a node's pod, or all of it; empty if it cannot be had.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        node: Of its Workflow.
    """
    return (
        _from_kubernetes(workspace, run_id, node)
        or _log_or_error(workspace, run_id, node)[0]
        or _shown_or_error(workspace, run_id, node)[0]
        or _from_store(workspace, node)
    )


def is_pod_absent(workspace: Workspace, run_id: str, node: Node) -> bool:
    """Whether Kubeflow Pipelines finds neither the pod of a node nor its log."""
    log, error = _log_or_error(workspace, run_id, node)
    if not log and not _ABSENT.search(error):  # a platform may give its API's users the log on its pages alone
        log, error = _shown_or_error(workspace, run_id, node)
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
        return read_log(cluster, names[0], _CONTAINER, _LINES).strip() if names else ""
    except StepError:
        return ""


def _log_or_error(workspace: Workspace, run_id: str, node: Node) -> tuple[str, str]:
    """What Kubeflow Pipelines answers; its errors have a good status, too."""
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


def _shown_or_error(workspace: Workspace, run_id: str, node: Node) -> tuple[str, str]:
    """What the pages show, which look into the store where the pod is gone."""
    query = {"podname": node.pod, "podnamespace": workspace.namespace, "runid": run_id}
    try:
        return get_text(workspace.client, "/k8s/pod/logs", query).strip(), ""
    except PipelineError as error:
        return "", str(error)


def _from_store(workspace: Workspace, node: Node) -> str:
    """Where Argo has put it, with the keys of the namespace."""
    if workspace.cluster is None or node.archived_log is None:
        return ""
    return read_archived_log(workspace.cluster, node.archived_log)
