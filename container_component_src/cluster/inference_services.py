"""InferenceServices of KServe: their deployment mode, whether they were ever tested, and how they are deleted."""

from container_component_src.cluster.access import Cluster, Manifest, NotFoundError
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.cluster.step import MANAGED_BY, label_selector
from container_component_src.cluster.waiting import polls

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
RUN_ANNOTATION = "columbus-eclss-ad/run-id"  # of the run that wrote the spec
TEST_ANNOTATION = "columbus-eclss-ad/smoke-test"
PENDING, PASSED = "pending", "passed"  # its values: until the first smoke test of a new service, and ever after
REMOVAL_TIMEOUT = 120.0  # seconds until a deleted service and its pods are gone
_POLL_INTERVAL = 1.0  # seconds


def annotation(found: Manifest, name: str) -> str:
    """An annotation of an InferenceService; empty where it has none of that name."""
    return str((found["metadata"].get("annotations") or {}).get(name, ""))


def is_ours(found: Manifest) -> bool:
    """Whether this project made an InferenceService."""
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in MANAGED_BY.items())


def is_untested(found: Manifest, run_id: str) -> bool:
    """Whether a run made an InferenceService that has not passed its first smoke test."""
    return annotation(found, TEST_ANNOTATION) == PENDING and annotation(found, RUN_ANNOTATION) == run_id


def untested_services(cluster: Cluster, run_id: str) -> list[str]:
    """The names of the services that a run made and that never passed a smoke test: the step was killed before."""
    found = cluster.list(INFERENCE_SERVICE, label_selector(MANAGED_BY))
    return sorted(service["metadata"]["name"] for service in found if is_untested(service, run_id))


def annotate(cluster: Cluster, found: Manifest, **annotations: str) -> Manifest:
    """Change annotations of an InferenceService.

    KServe copies annotations to the pods, where a change starts new ones, unless predictor and transformer have an
    annotation of the same name, as those of `serving_manifest` do.

    Raises:
        NotFoundError: It is gone.
        ExistsError: Another one has its name.
    """
    metadata = found["metadata"]
    changes = {"metadata": {"uid": metadata["uid"], "annotations": annotations}}
    return cluster.patch(INFERENCE_SERVICE, metadata["name"], changes)


def sync_deployment_mode(cluster: Cluster, found: Manifest) -> Manifest:
    """Name the mode of an InferenceService in its annotation as KServe does in its status.

    KServe 0.16 takes the older name of a mode, has the newer one in the status, and then refuses every change where the
    two differ, the removal of its own finalizer too: such a service can never be deleted (kserve/kserve#4798, #5885).
    """
    mode = found.get("status", {}).get("deploymentMode", "")
    if not mode or annotation(found, MODE_ANNOTATION) in ("", mode):
        return found
    return annotate(cluster, found, **{MODE_ANNOTATION: mode})


def remove(cluster: Cluster, name: str, wait: bool = True) -> bool:
    """Delete an InferenceService.

    Args:
        cluster: Where it is.
        name: Of the service.
        wait: Until it and its pods are gone.

    Returns:
        False if there was none.

    Raises:
        StepError: The API refused, or the service is still there after `REMOVAL_TIMEOUT`.
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
        StepError: It is still there after `REMOVAL_TIMEOUT`.
    """
    name = deleted["metadata"]["name"]
    for _ in polls(REMOVAL_TIMEOUT, _POLL_INTERVAL, f"InferenceService {name} to be gone; look at its finalizers"):
        found = cluster.get(INFERENCE_SERVICE, name)
        if found is None or found["metadata"]["uid"] != deleted["metadata"]["uid"]:
            return
        try:
            sync_deployment_mode(cluster, found)  # KServe may have written the mode after the deletion
        except NotFoundError:
            return
