"""Objects that exist for the duration of a step: created or adopted, and deleted however the step ends."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from container_component_src.cluster.access import Cluster, ExistsError, Manifest, TransientError
from container_component_src.cluster.eviction import is_evicted, workflow_of
from container_component_src.cluster.kinds import Kind
from container_component_src.cluster.step import RUN_LABEL, Step
from container_component_src.errors import StepError
from container_component_src.signals import signals_deferred
from container_component_src.waiting import polls

DIGEST_ANNOTATION = "columbus-eclss-ad/manifest-sha256"
DELETION_TIMEOUT = 120.0  # seconds until an older object of the same name is gone
_POLL_INTERVAL = 1.0  # seconds
_MANIFEST_METADATA = ("name", "namespace", "labels", "annotations", "ownerReferences")  # metadata not set by the API

logger = logging.getLogger(__name__)


@contextmanager
def owned_object(
    cluster: Cluster,
    step: Step,
    kind: Kind,
    manifest: Manifest,
    failed: Callable[[Manifest], bool],
    resumable: bool = False,
    users: Sequence[Kind] = (),
) -> Iterator[Manifest]:
    """Create an object, or adopt the one of an earlier attempt of this step, and delete it at the end.

    It is kept for the step's next attempt if the API server is unavailable, or if it is resumable and the step's pod is
    evicted while the run continues. Without a next attempt, the run's exit task or Kubernetes deletes it.

    Args:
        cluster: Cluster of the object.
        step: Step that owns the object.
        kind: Kind of the object.
        manifest: Manifest with the metadata of `step.metadata`.
        failed: Returns whether an existing object has failed and cannot be adopted.
        resumable: Whether the object's work continues without this process.
        users: Kinds whose object of the same name uses this one, which cannot be deleted before that.

    Yields:
        The object as the API returned it.

    Raises:
        StepError: The API refused a request, or an object of another run has the same name.
    """
    name, owner = manifest["metadata"]["name"], workflow_of(cluster, step)
    try:
        with signals_deferred():  # a signal between the creation and the yield would leave the object behind
            created = _create_or_adopt(cluster, step, kind, with_digest(_with_owner(manifest, owner)), failed, users)
        yield created
    except BaseException as error:
        if _is_kept(cluster, step, owner if resumable else None, error):
            logger.warning("%s %s keeps running; the next attempt of this step adopts it", kind.name, name)
        elif not isinstance(error, ExistsError):
            _delete_after_failure(cluster, kind, name)
        raise
    with signals_deferred():
        cluster.delete(kind, name)


def recreate(cluster: Cluster, step: Step, kind: Kind, found: Manifest, failed: Callable[[Manifest], bool]) -> Manifest:
    """Replace the object of an `owned_object` block by a new one with the same manifest.

    Args:
        cluster: Cluster of the object.
        step: Step that owns the object.
        kind: Kind of the object.
        found: Object that `owned_object` yielded.
        failed: As in `owned_object`.

    Returns:
        The new object.

    Raises:
        StepError: The API refused a request, or the old object still exists after `DELETION_TIMEOUT`.
    """
    metadata = {key: value for key, value in found["metadata"].items() if key in _MANIFEST_METADATA}
    manifest = {**{key: found[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}
    _delete_and_wait(cluster, kind, metadata["name"])
    return _create_or_adopt(cluster, step, kind, manifest, failed)


def with_digest(manifest: Manifest) -> Manifest:
    """Add a digest of the spec as an annotation; an object with another digest is not adopted."""
    metadata = manifest["metadata"]
    digest = hashlib.sha256(json.dumps(manifest["spec"], sort_keys=True).encode()).hexdigest()
    annotations = {**metadata.get("annotations", {}), DIGEST_ANNOTATION: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _is_kept(cluster: Cluster, step: Step, workflow: Manifest | None, error: BaseException) -> bool:
    """Return whether an object outlives an error; without a workflow, an eviction does not count."""
    if isinstance(error, SystemExit) and workflow and is_evicted(cluster.for_shutdown, step, workflow):
        logger.warning("this pod is evicted, and its run continues")
        return True
    return isinstance(error, TransientError)


def _with_owner(manifest: Manifest, owner: Manifest | None) -> Manifest:
    """Replace the step's pod, if the manifest names it as owner, by the workflow of the run."""
    metadata = manifest["metadata"]
    if owner is None or "ownerReferences" not in metadata:
        return manifest
    return {**manifest, "metadata": {**metadata, "ownerReferences": [owner]}}


def _delete_after_failure(cluster: Cluster, kind: Kind, name: str) -> None:
    """Delete the object without hiding the original error, and quickly because SIGKILL may follow."""
    with signals_deferred():
        try:
            cluster.for_shutdown.delete(kind, name)
        except StepError as error:
            logger.warning("%s", error)


def _create_or_adopt(
    cluster: Cluster,
    step: Step,
    kind: Kind,
    manifest: Manifest,
    failed: Callable[[Manifest], bool],
    users: Sequence[Kind] = (),
) -> Manifest:
    name = manifest["metadata"]["name"]
    try:
        return cluster.create(kind, manifest)
    except ExistsError as error:
        found = cluster.get(kind, name)
        run_id = found and found["metadata"].get("labels", {}).get(RUN_LABEL)
        if found is not None and run_id != step.run_id:
            raise ExistsError(
                f"{kind.name} {name} belongs to another run ({run_id})", fix="delete it, or wait for the run to end"
            ) from error
    if found is not None and _is_adoptable(found, manifest) and not failed(found):
        logger.info("adopting %s %s of an earlier attempt of this step", kind.name, name)
        return _add_owners(cluster, kind, found, manifest)
    logger.info("replacing %s %s of an earlier attempt of this step", kind.name, name)
    for each in (*users, kind):
        _delete_and_wait(cluster, each, name)
    return cluster.create(kind, manifest)


def _is_adoptable(found: Manifest, manifest: Manifest) -> bool:
    metadata = found["metadata"]
    digest = manifest["metadata"]["annotations"][DIGEST_ANNOTATION]
    same = metadata.get("annotations", {}).get(DIGEST_ANNOTATION) == digest
    return same and "deletionTimestamp" not in metadata


def _add_owners(cluster: Cluster, kind: Kind, found: Manifest, manifest: Manifest) -> Manifest:
    """Add this attempt's pod to the owners, because Kubernetes deletes an object with its last owner."""
    owners = found["metadata"].get("ownerReferences", [])
    new = [owner for owner in manifest["metadata"].get("ownerReferences", []) if owner not in owners]
    if not new:
        return found
    return cluster.patch(kind, found["metadata"]["name"], {"metadata": {"ownerReferences": owners + new}})


def _delete_and_wait(cluster: Cluster, kind: Kind, name: str) -> None:
    """Delete an object with everything it owns: a new object of that name would get the old one's pods and trials."""
    cluster.delete(kind, name, propagation="Foreground")
    what = f"{kind.name} {name} to be deleted"
    for _ in polls(DELETION_TIMEOUT, _POLL_INTERVAL, what, fix="delete it by hand"):
        if cluster.get(kind, name) is None:
            return
