"""Objects whose controller tells by conditions how they are: looked at until they have ended."""

from collections.abc import Iterator

from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.kinds import Kind
from container_component_src.cluster.waiting import polls
from container_component_src.errors import StepError

POLL_INTERVAL = 2.0  # seconds


def is_true(found: Manifest, condition: str) -> bool:
    """Whether a condition of an object is true; older ones stay in the list with the status False."""
    return condition_of(found, condition).get("status") == "True"


def condition_of(found: Manifest, condition: str) -> Manifest:
    """A condition with its status, reason and message; empty where the controller has not set it."""
    conditions: list[Manifest] = found.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item.get("type") == condition), {})


def states(cluster: Cluster, kind: Kind, name: str, timeout: float, what: str) -> Iterator[Manifest]:
    """Yield an object again and again, until the caller has seen what it waits for.

    Args:
        cluster: Where it is.
        kind: Of the object.
        name: Of the object.
        timeout: Seconds until the wait fails.
        what: As in `polls`.

    Raises:
        StepError: The object was deleted, or the time is over.
    """
    for _ in polls(timeout, POLL_INTERVAL, what):
        found = cluster.get(kind, name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            raise StepError(f"{kind.name} {name} was deleted while it ran; run the step again")
        yield found
