"""Explanation of a failed run: for each failed task its error and the end of its log."""

import re
from collections.abc import Container
from typing import Any

from pipeline.remote.pod_logs import node_log
from pipeline.remote.run_state import tasks_of
from pipeline.remote.workflow import Node, Workflow
from pipeline.remote.workspace import Workspace

_SHOWN_LINES = 20  # of the end of a log
_ERROR = "error: "  # starts the line that a failed step writes to stderr
_DRIVER = "-driver"
# Lines of KFP's launcher and driver, `E0102 03:04:05.678901      16 main.go:49] text`, and of Argo's executor.
_FRAMEWORK = re.compile(r"(?P<level>[IWEF])\d{4} [\d:.]+ +\d+ [\w.-]+\.go:\d+\] ?(?P<text>.*)")
_ARGO = re.compile(r'time="[^"]*" level=\w+ .*argo=true|Error: exit status \d+$')
_EXIT_CODE = re.compile(r"failed to execute component: exit status \d+")
# A drain or preemption deleted the pod, or a webhook could not admit it.
_INTERRUPTION = re.compile(r"pod deleted|failed calling webhook|failed to call webhook", re.I)


def describe_failure(
    workspace: Workspace, run: Any, workflow: Workflow | None, step_tasks: Container[str]
) -> list[str]:
    """Describe what failed in a run, and why.

    Args:
        workspace: Namespace of the run.
        run: kfp_server_api's V2beta1Run.
        workflow: Workflow of the run; None if it is unknown.
        step_tasks: Names of the tasks that are steps, used if the Workflow is unknown.

    Returns:
        Lines for the user, causes before consequences.
    """
    lines = [str(run.error.message)] if run.error else []
    if workflow is None or not workflow.failures():
        return [*lines, *_failed_tasks(run, step_tasks), _pods_hint(workspace, run.run_id)]
    by_step: dict[tuple[str, bool], list[Node]] = {}
    for node in workflow.failures():
        by_step.setdefault((node.step, node.is_driver), []).append(node)
    for nodes in by_step.values():
        lines += _explain(workspace, run.run_id, nodes)
    return lines


def interruptions(workflow: Workflow | None) -> list[str]:
    """Return how the cluster interrupted the failed steps, if none of them failed on its own.

    The exit task counts only if no step failed.

    Returns:
        A line per step; empty if a step failed on its own, so that a retry of the run would repeat the failure.
    """
    failures = workflow.failures() if workflow else []
    failures = [node for node in failures if not node.is_exit_task] or failures
    if not all(node.phase == "Error" and _INTERRUPTION.search(node.message) for node in failures):
        return []
    return [f"{node.step}: {node.message}" for node in failures]


def split_log(log: str) -> tuple[str, list[str]]:
    """Split the log of a step into its error and its own lines.

    Returns:
        The error of the step, or else that of the launcher; and the lines that the step itself wrote.
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
    """Describe the failure of a task; in a loop, that of the first failed iteration."""
    node = nodes[0]
    error, own = split_log(node_log(workspace, run_id, node))
    # Argo's message has a cause only if the pod was lost or refused; otherwise it is the exit code.
    reason = node.message if node.phase == "Error" else error or node.message
    name = f"{node.step} ({len(nodes)} iterations)" if len(nodes) > 1 else node.step
    how = "failed before its start" if node.is_driver else "failed"
    lines = [f"{name} {how}: {reason}" if reason else f"{name} {how}"]
    own = [line for line in own if line != f"{_ERROR}{reason}"]
    if own and not node.is_driver:
        lines += [f"  end of its log (pod {node.pod}):", *(f"    {line}" for line in own[-_SHOWN_LINES:])]
    elif not reason:
        lines.append(_pods_hint(workspace, run_id))
    return lines


def _failed_tasks(run: Any, step_tasks: Container[str]) -> list[str]:
    """Return the names of the failed steps, which is all that the API knows."""
    names = {
        task.display_name.removesuffix(_DRIVER)
        for task in tasks_of(run)
        if task.state == "FAILED" and task.display_name
    }
    return [f"{name.replace('-', '_')} failed" for name in sorted(names) if name in step_tasks]


def _pods_hint(workspace: Workspace, run_id: str) -> str:
    return (
        f"logs: kubectl --namespace {workspace.namespace} get pods --selector pipeline/runid={run_id} "
        "--field-selector status.phase=Failed"
    )
