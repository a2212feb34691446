"""Whether a run that succeeded has deployed its model, or found it too bad for that."""

import re

from pipeline.remote.pod_logs import node_log
from pipeline.remote.workflow import Workflow
from pipeline.remote.workspace import Workspace

_DEPLOYMENT = "deploy-to-kserve"  # the task
_GATE_DRIVER = re.compile(r"\.deploy-if-good\.condition-\d+-driver$")
_NUMBER = r'"pipelinechannel--{name}":\s*(-?[\d.]+(?:[eE][+-]?\d+)?)'  # as the driver logs its inputs


def not_deployed(workspace: Workspace, run_id: str, workflow: Workflow | None) -> str:
    """Say why a run has not deployed its model.

    The numbers are in no answer of the API, but in the log of the pod that compared them, even if all steps before were
    answered from the cache.

    Args:
        workspace: Where the run is.
        run_id: Its id.
        workflow: Its Workflow; None if that is not known.

    Returns:
        One line; empty if it has deployed it, or if this cannot be told.
    """
    driver = next((node for node in workflow.nodes if _GATE_DRIVER.search(node.name)), None) if workflow else None
    if workflow is None or driver is None or any(node.task == _DEPLOYMENT for node in workflow.nodes):
        return ""
    log = node_log(workspace, run_id, driver)
    value, least = (re.search(_NUMBER.format(name=name), log) for name in ("composite_f1", "min_composite_f1"))
    if value is None or least is None:
        return "not deployed: composite F1 below the pipeline parameter min_composite_f1"
    return f"not deployed: composite F1 {float(value[1]):.3g} below {float(least[1]):g}"
