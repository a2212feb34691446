"""Detection of evictions: the step's pod is deleted although its run continues."""

from typing import Any

from container_component_src.cluster.access import Cluster, Manifest, NotFoundError
from container_component_src.cluster.kinds import WORKFLOW
from container_component_src.cluster.step import Step, owner_reference
from container_component_src.errors import StepError


def workflow_of(cluster: Cluster, step: Step) -> Manifest | None:
    """Return an owner reference to the workflow of the step's run.

    Kubernetes deletes an object with its last owner. An object owned by the workflow outlives the eviction of the pod.

    Returns:
        The reference; None outside a pipeline, in a namespace other than the pod's, or if the pod cannot be read.
    """
    if not step.pod_name or step.pod_namespace not in ("", cluster.namespace):
        return None
    try:
        pod = _own_pod(cluster, step)
    except StepError:
        return None
    for owner in pod.metadata.owner_references or []:
        if owner.kind == WORKFLOW.name and owner.api_version == WORKFLOW.api_version:
            return owner_reference(owner.api_version, owner.kind, owner.name, owner.uid)
    return None


def is_evicted(cluster: Cluster, step: Step, workflow: Manifest) -> bool:
    """Return whether the step's pod is being deleted while its run continues.

    Args:
        cluster: Access for shutdown, because SIGKILL follows soon.
        step: Step of the pod.
        workflow: Owner reference to the workflow of the run.
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
    """Return whether a run is being deleted, was shut down or was terminated, for which KFP sets the deadline to 0."""
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
