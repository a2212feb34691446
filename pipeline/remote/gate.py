"""Outcome of the deployment gate: why a successful run did not deploy its model."""

import re

from pipeline.remote.pod_logs import node_log
from pipeline.remote.workflow import Workflow
from pipeline.remote.workspace import Workspace

_DEPLOYMENT_TASK = "deploy-to-kserve"
_GATE_DRIVER = re.compile(r"\.deploy-if-good\.condition-\d+-driver$")
_NUMBER = r'"pipelinechannel--{name}":\s*(-?[\d.]+(?:[eE][+-]?\d+)?)'  # as the driver logs its inputs


def not_deployed(workspace: Workspace, run_id: str, workflow: Workflow | None) -> str:
    """Explain why a run did not deploy its model.

    The API does not return the compared numbers. They are in the log of the pod that compared them, which runs even if
    all steps before it were cached.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        workflow: Workflow of the run; None if it is unknown.

    Returns:
        One line; empty if the run deployed its model, or if this is unknown.
    """
    driver = next((node for node in workflow.nodes if _GATE_DRIVER.search(node.name)), None) if workflow else None
    if workflow is None or driver is None or any(node.task == _DEPLOYMENT_TASK for node in workflow.nodes):
        return ""
    log = node_log(workspace, run_id, driver)
    value, minimum = (re.search(_NUMBER.format(name=name), log) for name in ("composite_f1", "min_composite_f1"))
    if value is None or minimum is None:
        return "not deployed: composite F1 below the pipeline parameter min_composite_f1"
    return f"not deployed: composite F1 {float(value[1]):.3g} below {float(minimum[1]):g}"
