"""InferenceServices of KServe: annotations, deployment mode, smoke-test state and deletion."""

from container_component_src.cluster.access import Cluster, Manifest, NotFoundError
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.step import MANAGED_BY, label_selector
from container_component_src.waiting import polls

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
RUN_ANNOTATION = "columbus-eclss-ad/run-id"  # run that wrote the spec
TEST_ANNOTATION = "columbus-eclss-ad/smoke-test"
PREVIOUS_ANNOTATION = "columbus-eclss-ad/previous-bundle"  # URI of the bundle before the present one
PENDING, PASSED = "pending", "passed"  # values of TEST_ANNOTATION, before and after the first smoke test of a service
REMOVAL_TIMEOUT = 120.0  # seconds until a deleted service and its pods are gone
_POLL_INTERVAL = 1.0  # seconds


def annotation(found: Manifest, name: str) -> str:
    """Return an annotation of an InferenceService, or an empty string if it is not set."""
    return str((found["metadata"].get("annotations") or {}).get(name, ""))


def is_ours(found: Manifest) -> bool:
    """Return whether this project created an InferenceService."""
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in MANAGED_BY.items())


def is_untested(found: Manifest, run_id: str) -> bool:
    """Return whether a run created an InferenceService that has not passed its first smoke test."""
    return annotation(found, TEST_ANNOTATION) == PENDING and annotation(found, RUN_ANNOTATION) == run_id


def untested_services(cluster: Cluster, run_id: str) -> list[str]:
    """Return the names of services that a run created and never tested because its step was killed."""
    found = cluster.list(INFERENCE_SERVICE, label_selector(MANAGED_BY))
    return sorted(service["metadata"]["name"] for service in found if is_untested(service, run_id))


def annotate(cluster: Cluster, found: Manifest, **annotations: str) -> Manifest:
    """Change annotations of an InferenceService.

    KServe copies annotations to the pod templates, and a changed template restarts the pods, unless predictor and
    transformer have their own annotation of that name, as those of `serving_manifest` do.

    Raises:
        NotFoundError: The service no longer exists.
        ExistsError: A newer service has the same name.
    """
    metadata = found["metadata"]
    changes = {"metadata": {"uid": metadata["uid"], "annotations": annotations}}
    return cluster.patch(INFERENCE_SERVICE, metadata["name"], changes)


def sync_deployment_mode(cluster: Cluster, found: Manifest) -> Manifest:
    """Set the deployment mode in the annotation of an InferenceService to the name that its status has.

    KServe 0.16 accepts the older name of a mode, writes the newer one into the status, and then refuses every change
    while the two differ, even the removal of its own finalizer, so that the service can never be deleted
    (kserve/kserve#4798, #5885).
    """
    mode = found.get("status", {}).get("deploymentMode", "")
    if not mode or annotation(found, MODE_ANNOTATION) in ("", mode):
        return found
    return annotate(cluster, found, **{MODE_ANNOTATION: mode})


def remove(cluster: Cluster, name: str, wait: bool = True) -> bool:
    """Delete an InferenceService.

    Args:
        cluster: Cluster of the service.
        name: Name of the service.
        wait: Whether to wait until the service and its pods are gone.

    Returns:
        False if there was no such service.

    Raises:
        StepError: The API refused a request, or the service still exists after `REMOVAL_TIMEOUT`.
    """
    found = cluster.get(INFERENCE_SERVICE, name)
    if found is None:
        return False
    try:
        sync_deployment_mode(cluster, found)
    except NotFoundError:
        return False
    deleted = cluster.delete(INFERENCE_SERVICE, name, propagation="Foreground" if wait else "Background")
    if deleted and wait:
        await_removal(cluster, found)
    return deleted


def await_removal(cluster: Cluster, deleted: Manifest) -> None:
    """Wait until a deleted InferenceService is gone.

    Raises:
        StepError: It still exists after `REMOVAL_TIMEOUT`.
    """
    name = deleted["metadata"]["name"]
    what = f"InferenceService {name} to be deleted"
    for _ in polls(REMOVAL_TIMEOUT, _POLL_INTERVAL, what, fix="check its finalizers"):
        found = cluster.get(INFERENCE_SERVICE, name)
        if found is None or found["metadata"]["uid"] != deleted["metadata"]["uid"]:
            return
        try:
            sync_deployment_mode(cluster, found)  # KServe may have written the mode after the deletion
        except NotFoundError:
            return
