"""Status conditions of objects, and polling an object until it has finished."""

from collections.abc import Iterator

from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.kinds import Kind
from container_component_src.errors import StepError
from container_component_src.waiting import polls

POLL_INTERVAL = 2.0  # seconds


def is_true(found: Manifest, condition: str) -> bool:
    """Return whether a condition of an object is true; past conditions stay in the list with status False."""
    return condition_of(found, condition).get("status") == "True"


def has_failed(found: Manifest) -> bool:
    """Return whether an object has failed, so that it cannot be adopted."""
    return is_true(found, "Failed")


def condition_of(found: Manifest, condition: str) -> Manifest:
    """Return a condition with its status, reason and message, or an empty dict if the controller has not set it."""
    conditions: list[Manifest] = found.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item.get("type") == condition), {})


def states(cluster: Cluster, kind: Kind, name: str, timeout: float, what: str, *, fix: str = "") -> Iterator[Manifest]:
    """Poll an object until the caller stops iterating.

    Args:
        cluster: Cluster of the object.
        kind: Kind of the object.
        name: Name of the object.
        timeout: Seconds until the wait fails.
        what: What is awaited, as in `polls`.
        fix: What the user can do if it does not happen, as in `polls`.

    Yields:
        The object as the API returns it.

    Raises:
        StepError: The object was deleted, or the timeout has passed.
    """
    for _ in polls(timeout, POLL_INTERVAL, what, fix=fix):
        found = cluster.get(kind, name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            raise StepError(f"{kind.name} {name} was deleted while it ran", fix="run the step again")
        yield found
