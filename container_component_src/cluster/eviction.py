"""Whether a step was told to stop because its pod goes away, while the run that it belongs to goes on."""

from typing import Any

from container_component_src.cluster.access import Cluster, Manifest, NotFoundError
from container_component_src.cluster.kinds import WORKFLOW
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError


def workflow_of(cluster: Cluster, step: Step) -> Manifest | None:
    """The owner reference that the step's pod has to the workflow of its run.

    A pod that is evicted takes along what it owns; the workflow lives on, and Kubernetes deletes its jobs with it.

    Returns:
        The reference; None outside a pipeline, in another namespace than the pod's, and where it cannot be found out.
    """
    if not step.pod_name or step.pod_namespace not in ("", cluster.namespace):
        return None
    try:
        pod = _own_pod(cluster, step)
    except StepError:
        return None
    for owner in pod.metadata.owner_references or []:
        if owner.kind == WORKFLOW.name and owner.api_version == WORKFLOW.api_version:
            return {
                "apiVersion": owner.api_version,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": False,
                "blockOwnerDeletion": False,  # true would need the right to update the workflow's finalizers
            }
    return None


def is_evicted(cluster: Cluster, step: Step, workflow: Manifest) -> bool:
    """Whether the step's pod is being deleted while nobody has ended its run.

    Args:
        cluster: Access in haste: SIGKILL follows soon.
        step: Whose pod it is.
        workflow: Owner reference to the workflow of its run.
    """
    try:
        gone = bool(_own_pod(cluster, step).metadata.deletion_timestamp)
    except NotFoundError:
        gone = True
    except StepError:
        return False
    try:
        found = cluster.get(WORKFLOW, workflow["name"]) if gone else None
    except StepError:
        return False
    return found is not None and not _is_ended(found)


def _is_ended(workflow: Manifest) -> bool:
    """Whether a run is being deleted, was terminated (KFP sets its deadline to 0) or shut down."""
    spec: dict[str, Any] = workflow.get("spec", {})
    return (
        "deletionTimestamp" in workflow["metadata"]
        or spec.get("activeDeadlineSeconds") == 0
        or bool(spec.get("shutdown"))
    )


def _own_pod(cluster: Cluster, step: Step) -> Any:
    return cluster.request(
        cluster.core.read_namespaced_pod, "get", f"pod {step.pod_name}", step.pod_name, cluster.namespace
    )
