"""Which bundles an InferenceService tells: the one that it serves, and the one before."""

from itertools import pairwise

from container_component_src.backends.kubernetes.serving_manifest import PREDICTOR, STORAGE_VARIABLE
from container_component_src.cluster.access import Cluster, Manifest, UnknownKindError
from container_component_src.cluster.inference_services import (
    PENDING,
    PREVIOUS_ANNOTATION,
    TEST_ANNOTATION,
    annotation,
    is_ours,
)
from container_component_src.cluster.kinds import INFERENCE_SERVICE
from container_component_src.serving.deployment.service import MODEL_DIR_OPTION, DeployedBundles


def deployed(cluster: Cluster, name: str) -> DeployedBundles:
    """Return the bundles of a service; none if it was never tested, is being deleted, or is not of this project.

    Raises:
        StepError: The API refused the request.
    """
    try:
        found = cluster.get(INFERENCE_SERVICE, name)
    except UnknownKindError:  # KServe is not installed
        return DeployedBundles()
    if found is None or "deletionTimestamp" in found["metadata"] or annotation(found, TEST_ANNOTATION) == PENDING:
        return DeployedBundles()
    present = bundle_of(found)
    return DeployedBundles(present, annotation(found, PREVIOUS_ANNOTATION) if present else "")


def bundle_of(found: Manifest) -> str:
    """Return the URI of the bundle that an InferenceService of this project serves; empty for others."""
    if not is_ours(found):
        return ""
    (serving, *_) = found["spec"][PREDICTOR].get("containers") or [{}]
    variables = {item["name"]: item.get("value", "") for item in serving.get("env") or ()}
    arguments = [*(serving.get("command") or ()), *(serving.get("args") or ())]
    options = dict(pairwise(arguments))
    return str(variables.get(STORAGE_VARIABLE) or options.get(MODEL_DIR_OPTION, ""))


def with_previous(desired: Manifest, found: Manifest) -> Manifest:
    """Return an InferenceService that replaces another one, and remembers the bundle of that.

    The same bundle again, with other options, does not count: the one before stays the previous one.
    """
    replaced = bundle_of(found)
    previous = replaced if replaced != bundle_of(desired) else annotation(found, PREVIOUS_ANNOTATION)
    if not previous:
        return desired
    annotations = {**desired["metadata"]["annotations"], PREVIOUS_ANNOTATION: previous}
    return {**desired, "metadata": {**desired["metadata"], "annotations": annotations}}
