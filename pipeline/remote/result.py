"""Result of a run that succeeded: metrics of its model, the gate, and whether the model was promoted and deployed."""

import json
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pipeline.outcome import Outcome, promotion, query_command
from pipeline.remote.pod_logs import node_log
from pipeline.remote.workflow import Workflow
from pipeline.remote.workspace import Workspace

_DEPLOYMENT_TASK = "deploy-to-kserve"
_DRIVER = re.compile(r"\.deploy-if-good-driver$")
# As the driver logs its inputs.
_INPUT = re.compile(
    r'"(gate_passed|gate_reason|promotion_reason|headline|service_name|namespace)":'
    r'\s*(true|false|"(?:[^"\\]|\\.)*")'
)


def outcome_of(workspace: Workspace, run_id: str, workflow: Workflow | None) -> Outcome:
    """Return what is known of a run.

    The API does not return the outputs of steps. Those of the evaluation, the gate and the comparison are in the log of
    the pod that passes them on to the deployment, which runs even if they were cached.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        workflow: Workflow of the run; None if it is unknown.
    """
    nodes = workflow.nodes if workflow else ()
    driver = next((node for node in nodes if _DRIVER.search(node.name)), None)
    deployed = any(node.task == _DEPLOYMENT_TASK for node in nodes)
    given = {
        name: json.loads(text) for name, text in _INPUT.findall(node_log(workspace, run_id, driver) if driver else "")
    }
    gate: Sequence[str] = ()
    if "gate_reason" in given:
        gate = [f"{'passed' if given.get('gate_passed', deployed) else 'failed'}: {given['gate_reason']}"]
    decided = driver is not None or deployed
    name, namespace = given.get("service_name", ""), given.get("namespace") or workspace.namespace
    place = f"deployed as {name} in namespace {namespace}" if name else "deployed"
    return Outcome(
        headline=given.get("headline", "").splitlines(),
        gate=gate,
        promotion=promotion(deployed, given.get("promotion_reason", "the report says why")) if decided else "",
        report=f"{workspace.run_url(run_id)} (output of visualize-results)",
        model=f"{place if deployed else 'not deployed'} (output of calibrate)" if decided else "",
        query=_query(workspace, name, namespace) if deployed else "",
    )


def _query(workspace: Workspace, name: str, namespace: str) -> str:
    """Return how to query the service; the address of the platform is not known everywhere."""
    gateway, how = urlsplit(workspace.ui), "docs/serving.md says how"
    if not name or not gateway.netloc:
        return how
    url = f"{gateway.scheme}://{gateway.netloc}/serving/{namespace}/{name}"
    return f"{query_command(url, name, 'FILE')}; for the token: {how}"
