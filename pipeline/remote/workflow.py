"""The Argo Workflow behind a run: what became of each of its pods, and why.

The tasks that the API lists have neither messages nor pods. The nodes of the Workflow have both, and their names are
the paths of the tasks: `WORKFLOW.root.exit-handler-1.run-pytorchjob.executor(0)`.
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
_POD_NAMES_LIKE_NODES = "v1"  # value of the annotation
_POD_NAME_FORMAT = "workflows.argoproj.io/pod-name-format"
_ATTEMPT = re.compile(r"\((\d+)\)$")
_TASK = re.compile(r"(?:^|\.)(?P<task>[^.()]+?)(?P<role>-driver|\.executor)(?:\(\d+\))?$")
_USUAL = re.compile(r"^(PodInitializing|ContainerCreating)?$")  # messages of pods that are about to start


@dataclass(frozen=True)
class Node:
    """A node of a Workflow.

    Attributes:
        node_id: Its id.
        name: Its path.
        kind: `Pod`, `DAG`, `Retry`, `Skipped` and others.
        phase: `Pending`, `Running`, `Succeeded`, `Skipped`, `Failed`, `Error` or `Omitted`.
        message: Why it is so; empty where Argo does not say.
        pod: Name of its pod, if it has one.
        finished: When it ended, in ISO format; empty before.
        archived_log: Where its log is when its pod is gone, if Argo keeps it.
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
        """Name of the task that the pod of this node drives or executes; empty for other nodes."""
        found = _TASK.search(self.name)
        return found["task"] if found else ""

    @property
    def step(self) -> str:
        """The task's name as commands are written."""
        return self.task.replace("-", "_")

    @property
    def is_driver(self) -> bool:
        """Whether this is the pod of Kubeflow Pipelines that prepares a task."""
        found = _TASK.search(self.name)
        return found is not None and found["role"] == "-driver"

    @property
    def is_after_the_run(self) -> bool:
        """Whether this belongs to the exit task."""
        return ".onExit" in self.name

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""
        return self.phase in _FAILED


@dataclass(frozen=True)
class Workflow:
    """A Workflow at one moment."""

    name: str
    nodes: tuple[Node, ...]

    def pods(self) -> list[Node]:
        """The last attempt of each driver and executor that is to have a pod."""
        last: dict[str, Node] = {}
        for node in sorted((node for node in self.nodes if node.kind == "Pod"), key=_attempt):
            last[_ATTEMPT.sub("", node.name)] = node
        return list(last.values())

    def failures(self) -> list[Node]:
        """What failed: the first cause first, and the exit task last."""
        failed = [node for node in self.pods() if node.failed]
        return sorted(failed, key=lambda node: (node.is_after_the_run, node.finished))

    def obstacles(self) -> list[Node]:
        """Pods that do not start or cannot be created, with the reason as their message."""
        return [node for node in self.pods() if node.phase == "Pending" and not _USUAL.match(node.message)]

    def running_pods(self) -> list[Node]:
        """Pods that Argo takes to be running."""
        return [node for node in self.pods() if node.phase == "Running"]

    def cached_tasks(self) -> set[str]:
        """Tasks of which no executor had to run, since an earlier run has their outputs."""
        executors = [node for node in self.nodes if node.task and not node.is_driver]
        ran = {node.task for node in executors if node.phase != "Skipped"}
        return {node.task for node in executors} - ran


def find_workflow(workspace: Workspace, run_id: str) -> Workflow | None:
    """The Workflow of a run: in a notebook from Kubernetes, elsewhere as Kubeflow Pipelines has last seen it.

    Returns:
        None if neither tells.
    """
    found = workflow_objects(workspace, run_id)
    if found:
        return read_workflow(found[0])
    try:
        answer = json.loads(get_text(workspace.client, f"/apis/v1beta1/runs/{run_id}"))
        return read_workflow(json.loads(answer["pipeline_runtime"]["workflow_manifest"]))
    except (PipelineError, ValueError, LookupError, TypeError):
        return None  # an aid, that later versions may not offer


def workflow_objects(workspace: Workspace, run_id: str) -> list[dict[str, Any]] | None:
    """The Workflows that Kubernetes has of a run.

    Returns:
        None where Kubernetes cannot be asked, or does not tell.
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
        LookupError, TypeError: It is none.
    """
    metadata = manifest["metadata"]
    like_nodes = (metadata.get("annotations") or {}).get(_POD_NAME_FORMAT) == _POD_NAMES_LIKE_NODES
    found = ((manifest.get("status") or {}).get("nodes") or {}).values()
    return Workflow(metadata["name"], tuple(_read_node(manifest, node, like_nodes) for node in found))


def _read_node(workflow: Mapping[str, Any], node: Mapping[str, Any], pod_like_node: bool) -> Node:
    """A pod is named after its workflow, then its template, then the hash that ends its node's id."""
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
