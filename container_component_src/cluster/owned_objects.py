"""Objects that a step starts and that end with it: created or adopted, and deleted however the step ends."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from container_component_src.cluster.access import Cluster, ExistsError, Manifest, TransientError
from container_component_src.cluster.eviction import is_evicted, workflow_of
from container_component_src.cluster.kinds import Kind
from container_component_src.cluster.step import RUN_LABEL, Step
from container_component_src.cluster.waiting import polls
from container_component_src.errors import StepError
from container_component_src.signals import signals_deferred

DIGEST_ANNOTATION = "columbus-eclss-ad/manifest-sha256"
DELETION_TIMEOUT = 120.0  # seconds until an older object of the same name is gone
_POLL_INTERVAL = 1.0  # seconds
_OURS = ("name", "namespace", "labels", "annotations", "ownerReferences")  # the metadata that a manifest sets

logger = logging.getLogger(__name__)


@contextmanager
def owned_object(
    cluster: Cluster,
    step: Step,
    kind: Kind,
    manifest: Manifest,
    failed: Callable[[Manifest], bool],
    resumable: bool = False,
) -> Iterator[Manifest]:
    """Create an object, or adopt the one that an earlier attempt of this step left, and delete it in the end.

    It is not deleted where that would throw away work that can go on: when the API server is away, and, if it is
    resumable, when the step's pod is evicted while the run goes on. The next attempt of the step adopts it then; if
    there is none, the run's exit task deletes it, or the end of its owner does.

    Args:
        cluster: Where it is created.
        step: That it belongs to.
        kind: Of the object.
        manifest: With the metadata of `step.metadata`.
        failed: Says of an object found whether it has failed, so that it cannot be adopted.
        resumable: Whether the object's work goes on without this process.

    Yields:
        The object as the API returned it.

    Raises:
        StepError: A request was refused, or the name is taken by another run.
    """
    name = manifest["metadata"]["name"]
    owner = workflow_of(cluster, step)
    wanted = with_digest(_owned(manifest, owner))
    try:
        with signals_deferred():  # no signal can come between the creation and the `try` that cares for deletion
            created = _create_or_adopt(cluster, step, kind, wanted, failed)
        yield created
    except BaseException as error:
        if isinstance(error, TransientError):
            logger.warning("%s %s goes on; the next attempt of this step adopts it", kind.name, name)
        elif resumable and isinstance(error, SystemExit) and owner and is_evicted(cluster.for_shutdown, step, owner):
            logger.warning("this pod is evicted: %s %s goes on for the next attempt of this step", kind.name, name)
        elif not isinstance(error, ExistsError):
            _delete_after_failure(cluster, kind, name)
        raise
    with signals_deferred():
        cluster.delete(kind, name)


def recreate(cluster: Cluster, step: Step, kind: Kind, found: Manifest, failed: Callable[[Manifest], bool]) -> Manifest:
    """Replace the object of a `owned_object` block by a new one of the same manifest, once all that it owned is gone.

    Args:
        cluster: Where it is.
        step: That it belongs to.
        kind: Of the object.
        found: The object, as `owned_object` yielded it.
        failed: As for `owned_object`.

    Returns:
        The new object.

    Raises:
        StepError: A request was refused, or the object did not go away.
    """
    metadata = {key: value for key, value in found["metadata"].items() if key in _OURS}
    manifest = {**{key: found[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}
    _delete_and_wait(cluster, kind, metadata["name"])
    return _create_or_adopt(cluster, step, kind, manifest, failed)


def _owned(manifest: Manifest, owner: Manifest | None) -> Manifest:
    """A manifest whose owner, where it has one, is the workflow of the run instead of the step's pod."""
    metadata = manifest["metadata"]
    if owner is None or "ownerReferences" not in metadata:
        return manifest
    return {**manifest, "metadata": {**metadata, "ownerReferences": [owner]}}


def _delete_after_failure(cluster: Cluster, kind: Kind, name: str) -> None:
    """Delete without hiding the failure that led here, and before the kernel ends a process that was told to stop."""
    with signals_deferred():
        try:
            cluster.for_shutdown.delete(kind, name)
        except StepError as error:
            logger.warning("%s", error)


def _create_or_adopt(
    cluster: Cluster, step: Step, kind: Kind, manifest: Manifest, failed: Callable[[Manifest], bool]
) -> Manifest:
    name = manifest["metadata"]["name"]
    try:
        return cluster.create(kind, manifest)
    except ExistsError as error:
        found = cluster.get(kind, name)
        if found is not None and _labels(found).get(RUN_LABEL) != step.run_id:
            raise ExistsError(
                f"{kind.name} {name} belongs to another run ({_labels(found).get(RUN_LABEL)}); delete it or wait"
            ) from error
    if found is not None and _adoptable(found, manifest) and not failed(found):
        logger.info("adopting %s %s, which an earlier attempt of this step started", kind.name, name)
        return _adopted(cluster, kind, found, manifest)
    logger.info("replacing %s %s, which an earlier attempt of this step left", kind.name, name)
    _delete_and_wait(cluster, kind, name)
    return cluster.create(kind, manifest)


def _adoptable(found: Manifest, manifest: Manifest) -> bool:
    metadata = found["metadata"]
    digest = manifest["metadata"]["annotations"][DIGEST_ANNOTATION]
    same = metadata.get("annotations", {}).get(DIGEST_ANNOTATION) == digest
    return same and "deletionTimestamp" not in metadata


def _adopted(cluster: Cluster, kind: Kind, found: Manifest, manifest: Manifest) -> Manifest:
    """Add this attempt's pod to the owners: Kubernetes deletes what has owners when the last of them is gone."""
    owners = found["metadata"].get("ownerReferences", [])
    new = [owner for owner in manifest["metadata"].get("ownerReferences", []) if owner not in owners]
    if not new:
        return found
    return cluster.patch(kind, found["metadata"]["name"], {"metadata": {"ownerReferences": owners + new}})


def _delete_and_wait(cluster: Cluster, kind: Kind, name: str) -> None:
    """Delete with all that it owns: a new object of the name would get the pods and trials of the old one."""
    cluster.delete(kind, name, propagation="Foreground")
    for _ in polls(DELETION_TIMEOUT, _POLL_INTERVAL, f"{kind.name} {name} to be gone; delete it by hand"):
        if cluster.get(kind, name) is None:
            return


def with_digest(manifest: Manifest) -> Manifest:
    """The manifest with a digest of its spec: what was started with other arguments is not adopted."""
    metadata = manifest["metadata"]
    digest = hashlib.sha256(json.dumps(manifest["spec"], sort_keys=True).encode()).hexdigest()
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), DIGEST_ANNOTATION: digest}},
    }


def _labels(found: Manifest) -> dict[str, str]:
    labels: dict[str, str] = found["metadata"].get("labels", {})
    return labels
