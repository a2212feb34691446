"""Why a run failed: for each failed task its error first, then the end of its log."""

import re
from collections.abc import Container
from typing import Any

from pipeline.remote.pod_logs import node_log
from pipeline.remote.run_state import tasks_of
from pipeline.remote.workflow import Node, Workflow
from pipeline.remote.workspace import Workspace

_SHOWN_LINES = 20  # of a log
_ERROR = "error: "  # begins the one line that a failed step writes to stderr
_DRIVER = "-driver"
# Of the launcher and the driver, `E0102 03:04:05.678901      16 main.go:49] text`, and of Argo's executor.
_FRAMEWORK = re.compile(r"(?P<level>[IWEF])\d{4} [\d:.]+ +\d+ [\w.-]+\.go:\d+\] ?(?P<text>.*)")
_ARGO = re.compile(r'time="[^"]*" level=\w+ .*argo=true|Error: exit status \d+$')
_EXIT_CODE = re.compile(r"failed to execute component: exit status \d+")
# A pod that was deleted by a drain or a preemption, and one that a webhook could not look at.
_INTERRUPTION = re.compile(r"pod deleted|failed calling webhook|failed to call webhook", re.I)


def describe_failure(
    workspace: Workspace, run: Any, workflow: Workflow | None, step_tasks: Container[str]
) -> list[str]:
    """Say what failed, and why as far as the platform tells.

    Args:
        workspace: Where the run is.
        run: kfp_server_api's V2beta1Run.
        workflow: Its Workflow; None if that is not known.
        step_tasks: Names of the tasks that are steps, for when it is not.

    Returns:
        Lines for the user: causes before their consequences.
    """
    lines = [str(run.error.message)] if run.error else []
    if workflow is None or not workflow.failures():
        return [*lines, *_failed_tasks(run, step_tasks), _way_to_the_pods(workspace, run.run_id)]
    same: dict[tuple[str, bool], list[Node]] = {}
    for node in workflow.failures():
        same.setdefault((node.step, node.is_driver), []).append(node)
    for nodes in same.values():
        lines += _explain(workspace, run.run_id, nodes)
    return lines


def interruptions(workflow: Workflow | None) -> list[str]:
    """What the cluster did to the steps that failed, if none of them failed by itself.

    What became of the exit task counts only where no step failed.

    Returns:
        A line for each; empty if there is none, or if a retry of the run would only repeat another failure.
    """
    failures = workflow.failures() if workflow else []
    failures = [node for node in failures if not node.is_after_the_run] or failures
    if not all(node.phase == "Error" and _INTERRUPTION.search(node.message) for node in failures):
        return []
    return [f"{node.step}: {node.message}" for node in failures]


def digest(log: str) -> tuple[str, list[str]]:
    """Take a step's log apart.

    Returns:
        The error that the step ended with, or else the launcher; and the lines that the step itself wrote.
    """
    own, launcher = [], ""
    for line in (line.rstrip() for line in log.splitlines()):
        framework = _FRAMEWORK.match(line)
        if framework:
            if framework["level"] in "EF" and not _EXIT_CODE.match(framework["text"]):
                launcher = framework["text"]
        elif line and not _ARGO.match(line):
            own.append(line)
    errors = [line for line in own if line.startswith(_ERROR)]
    return errors[-1].removeprefix(_ERROR) if errors else launcher, own


def _explain(workspace: Workspace, run_id: str, nodes: list[Node]) -> list[str]:
    """The failure of a task; of several iterations of a loop that of the first one."""
    node = nodes[0]
    error, own = digest(node_log(workspace, run_id, node))
    # Argo says why a pod was lost or refused, and else only how its process ended.
    reason = node.message if node.phase == "Error" else error or node.message
    name = f"{node.step} ({len(nodes)} iterations)" if len(nodes) > 1 else node.step
    how = "failed before its start" if node.is_driver else "failed"
    lines = [f"{name} {how}: {reason}" if reason else f"{name} {how}"]
    own = [line for line in own if line != f"{_ERROR}{reason}"]
    if own and not node.is_driver:
        lines += [f"  end of its log (pod {node.pod}):", *(f"    {line}" for line in own[-_SHOWN_LINES:])]
    elif not reason:
        lines.append(_way_to_the_pods(workspace, run_id))
    return lines


def _failed_tasks(run: Any, step_tasks: Container[str]) -> list[str]:
    """Names alone: the API tells no more."""
    names = {
        task.display_name.removesuffix(_DRIVER)
        for task in tasks_of(run)
        if task.state == "FAILED" and task.display_name
    }
    return [f"{name.replace('-', '_')} failed" for name in sorted(names) if name in step_tasks]


def _way_to_the_pods(workspace: Workspace, run_id: str) -> str:
    return (
        f"logs: kubectl --namespace {workspace.namespace} get pods --selector pipeline/runid={run_id} "
        "--field-selector status.phase=Failed"
    )
