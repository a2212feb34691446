"""Result of a run that succeeded: metrics of its model, the gate, and whether the model was promoted and deployed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
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


@dataclass(frozen=True)
class RunResult:
    """What is known of the model of a run.

    Attributes:
        decided: Whether the run got as far as deciding about the deployment.
        deployed: Whether it deployed the model.
        given: What the deployment was given: result and reason of the gate, reason of the promotion, headline, name and
            namespace of the service.
    """

    decided: bool
    deployed: bool
    given: Mapping[str, Any]


def result_of(workspace: Workspace, run_id: str, workflow: Workflow | None) -> RunResult:
    """Return what is known of the model of a run.

    The API does not return the outputs of steps. Those of the evaluation, the gate and the comparison are in the log of
    the pod that passes them on to the deployment, which runs even if they were cached.

    Args:
        workspace: Namespace of the run.
        run_id: ID of the run.
        workflow: Workflow of the run; None if it is unknown.
    """
    nodes = workflow.nodes if workflow else ()
    driver = next((node for node in nodes if _DRIVER.search(node.name)), None)
    deployment = [node for node in nodes if node.task == _DEPLOYMENT_TASK]
    log = node_log(workspace, run_id, driver) if driver else ""
    return RunResult(
        decided=bool(driver or deployment),
        deployed=bool(deployment) and not any(node.failed for node in Workflow("", tuple(deployment)).pods()),
        given={name: json.loads(text) for name, text in _INPUT.findall(log)},
    )


def outcome_of(workspace: Workspace, run_id: str, workflow: Workflow | None) -> Outcome:
    """Return what is known of a run that succeeded; arguments are those of `result_of`."""
    result = result_of(workspace, run_id, workflow)
    given, deployed = result.given, result.deployed
    gate: Sequence[str] = ()
    if "gate_reason" in given:
        gate = [f"{'passed' if given.get('gate_passed', deployed) else 'failed'}: {given['gate_reason']}"]
    name, namespace = given.get("service_name", ""), given.get("namespace") or workspace.namespace
    place = f"deployed as {name} in namespace {namespace}" if name else "deployed"
    return Outcome(
        headline=given.get("headline", "").splitlines(),
        gate=gate,
        promotion=promotion(deployed, given.get("promotion_reason", "the report says why")) if result.decided else "",
        report=f"{workspace.run_url(run_id)} (output of visualize-results)",
        model=f"{place if deployed else 'not deployed'} (output of calibrate)" if result.decided else "",
        query=_query(workspace, name, namespace) if deployed else "",
    )


def _query(workspace: Workspace, name: str, namespace: str) -> str:
    """Return how to query the service; the address of the platform is not known everywhere."""
    gateway, how = urlsplit(workspace.ui), "docs/serving.md says how"
    if not name or not gateway.netloc:
        return how
    url = f"{gateway.scheme}://{gateway.netloc}/serving/{namespace}/{name}"
    return f"{query_command(url, name, 'FILE')}; for the token: {how}"
