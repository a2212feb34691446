"""Outcome of the deployment gate: why a successful run did not deploy its model."""

import json
import re

from pipeline.remote.pod_logs import node_log
from pipeline.remote.workflow import Workflow
from pipeline.remote.workspace import Workspace

_DEPLOYMENT_TASK = "deploy-to-kserve"
_DRIVER = re.compile(r"\.deploy-if-good-driver$")
_REASON = re.compile(r'"gate_reason":\s*("(?:[^"\\]|\\.)*")')  # as the driver logs its inputs


def not_deployed(workspace: Workspace, run_id: str, workflow: Workflow | None) -> str:
    """Explain why a run did not deploy its model.

    The API does not return the outputs of `check_gate`. They are in the log of the pod that passes them on to the
    deployment, which runs even if `check_gate` was cached.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        workflow: Workflow of the run; None if it is unknown.

    Returns:
        One line; empty if the run deployed its model, or if this is unknown.
    """
    driver = next((node for node in workflow.nodes if _DRIVER.search(node.name)), None) if workflow else None
    if workflow is None or driver is None or any(node.task == _DEPLOYMENT_TASK for node in workflow.nodes):
        return ""
    reason = _REASON.search(node_log(workspace, run_id, driver))
    return f"not deployed: {json.loads(reason[1]) if reason else 'the gate did not pass; the report says why'}"
