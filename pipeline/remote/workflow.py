"""The Argo Workflow of a run, with the state of each pod and its reason.

Tasks in the API of Kubeflow Pipelines have neither messages nor pods. The nodes of the Workflow have both, and their
names are the paths of the tasks: `WORKFLOW.root.exit-handler-1.run-pytorchjob.executor(0)`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container_component_src.cluster.kinds import WORKFLOW
from container_component_src.cluster.step import RUN_LABEL
from container_component_src.errors import PipelineError, StepError
from pipeline.remote.archived_logs import ArchivedLog, find_archived_log
from pipeline.remote.client import get_text
from pipeline.remote.workspace import Workspace

_FAILED = {"Failed", "Error"}
_POD_NAMES_LIKE_NODES = "v1"  # value of the annotation below
_POD_NAME_FORMAT = "workflows.argoproj.io/pod-name-format"
_ATTEMPT = re.compile(r"\((\d+)\)$")
_TASK = re.compile(r"(?:^|\.)(?P<task>[^.()]+?)(?P<role>-driver|\.executor)(?:\(\d+\))?$")
_STARTING = re.compile(r"^(PodInitializing|ContainerCreating)?$")  # messages of pods that are about to start


@dataclass(frozen=True)
class Node:
    """A node of a Workflow.

    Attributes:
        node_id: ID of the node.
        name: Path of the node.
        kind: `Pod`, `DAG`, `Retry`, `Skipped` and others.
        phase: `Pending`, `Running`, `Succeeded`, `Skipped`, `Failed`, `Error` or `Omitted`.
        message: Argo's reason for the phase; empty if it gives none.
        pod: Name of the pod; empty if the node has none.
        finished: End in ISO format; empty before the end.
        archived_log: Location of the log that outlives the pod; None if Argo does not archive it.
    """

    node_id: str
    name: str
    kind: str
    phase: str
    message: str
    pod: str
    finished: str
    archived_log: ArchivedLog | None = None

    @property
    def task(self) -> str:
        """Name of the task whose driver or executor this node is; empty for other nodes."""
        found = _TASK.search(self.name)
        return found["task"] if found else ""

    @property
    def step(self) -> str:
        """Name of the task in the form of a command."""
        return self.task.replace("-", "_")

    @property
    def is_driver(self) -> bool:
        """Whether this is the driver of a task, which prepares its executor."""
        found = _TASK.search(self.name)
        return found is not None and found["role"] == "-driver"

    @property
    def is_exit_task(self) -> bool:
        """Whether this node belongs to the exit task."""
        return ".onExit" in self.name

    @property
    def failed(self) -> bool:
        """Whether the node failed."""
        return self.phase in _FAILED


@dataclass(frozen=True)
class Workflow:
    """A snapshot of a Workflow."""

    name: str
    nodes: tuple[Node, ...]

    def pods(self) -> list[Node]:
        """Return the last attempt of each driver and executor that has a pod."""
        last: dict[str, Node] = {}
        for node in sorted((node for node in self.nodes if node.kind == "Pod"), key=_attempt):
            last[_ATTEMPT.sub("", node.name)] = node
        return list(last.values())

    def failures(self) -> list[Node]:
        """Return the failed pods in order of their end, those of the exit task last."""
        failed = [node for node in self.pods() if node.failed]
        return sorted(failed, key=lambda node: (node.is_exit_task, node.finished))

    def blocked_pods(self) -> list[Node]:
        """Return pods that cannot start, with the reason as their message."""
        return [node for node in self.pods() if node.phase == "Pending" and not _STARTING.match(node.message)]

    def running_pods(self) -> list[Node]:
        """Return pods that are running according to Argo."""
        return [node for node in self.pods() if node.phase == "Running"]

    def cached_tasks(self) -> set[str]:
        """Return the tasks whose executors were all skipped, because an earlier run has their outputs."""
        executors = [node for node in self.nodes if node.task and not node.is_driver]
        ran = {node.task for node in executors if node.phase != "Skipped"}
        return {node.task for node in executors} - ran


def find_workflow(workspace: Workspace, run_id: str) -> Workflow | None:
    """Find the Workflow of a run: in Kubernetes from a notebook, otherwise in Kubeflow Pipelines' copy.

    Returns:
        The Workflow, or None if neither returns it.
    """
    found = workflow_objects(workspace, run_id)
    if found:
        return read_workflow(found[0])
    try:
        answer = json.loads(get_text(workspace.client, f"/apis/v1beta1/runs/{run_id}"))
        return read_workflow(json.loads(answer["pipeline_runtime"]["workflow_manifest"]))
    except (PipelineError, ValueError, LookupError, TypeError):
        return None  # optional, because later versions may not offer this endpoint


def workflow_objects(workspace: Workspace, run_id: str) -> list[dict[str, Any]] | None:
    """List the Workflows of a run in Kubernetes.

    Returns:
        The manifests, or None if Kubernetes is not accessible.
    """
    if workspace.cluster is None:
        return None
    try:
        return workspace.cluster.list(WORKFLOW, f"{RUN_LABEL}={run_id}")
    except StepError:
        return None


def read_workflow(manifest: Mapping[str, Any]) -> Workflow:
    """Read the nodes of a Workflow.

    Raises:
        LookupError, TypeError: The manifest is not that of a Workflow.
    """
    metadata = manifest["metadata"]
    pods_like_nodes = (metadata.get("annotations") or {}).get(_POD_NAME_FORMAT) == _POD_NAMES_LIKE_NODES
    found = ((manifest.get("status") or {}).get("nodes") or {}).values()
    return Workflow(metadata["name"], tuple(_read_node(manifest, node, pods_like_nodes) for node in found))


def _read_node(workflow: Mapping[str, Any], node: Mapping[str, Any], pod_like_node: bool) -> Node:
    """Read a node; the name of its pod consists of workflow, template and the hash at the end of the node's ID."""
    node_id = node["id"]
    pod = f"{workflow['metadata']['name']}-{node.get('templateName', '')}-{node_id.rpartition('-')[2]}"
    return Node(
        node_id,
        node["name"],
        node.get("type", ""),
        node.get("phase", ""),
        " ".join(str(node.get("message") or "").split()),
        "" if node.get("type") != "Pod" else node_id if pod_like_node else pod,
        str(node.get("finishedAt") or ""),
        find_archived_log(workflow, node),
    )


def _attempt(node: Node) -> int:
    found = _ATTEMPT.search(node.name)
    return int(found[1]) if found else 0
