"""What Kubernetes and KServe say about one InferenceService while it is deployed: some of it in events only."""

import logging
from collections.abc import Iterable

from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.events import WarningEvent, warning_events
from container_component_src.errors import StepError
from container_component_src.once import WarnOnce

KNATIVE_MISSING = "ServerlessModeRejected"
# What the conditions say, once more; and that KServe has to write them again, because somebody else wrote in between.
_NOISE = {"InferenceServiceNotReady", "UpdateFailed"}
_RETRIED = "the object has been modified"
_PROBE = "Unhealthy"  # of every server that starts
_INTERNAL = "InternalError"  # every failure of KServe's controller, most of which pass
_REFUSALS = ("is invalid:", "denied the request")  # of objects that it made of the service: these do not pass
# Not the autoscaler's: without metrics, it complains about every service.
_KINDS = ("InferenceService", "Deployment", "ReplicaSet", "Pod", "Service", "Configuration", "Revision")

logger = logging.getLogger(__name__)


class Watch:
    """The Warning events of an InferenceService and its parts since the watch began.

    Events live for an hour, so that those of the spec before are still there: what was there at first does not count.

    Args:
        cluster: Where the service is, or will be.
        name: Of the service.

    Raises:
        TransientError: The API server is away.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._warn = WarnOnce(logger)
        self._old: set[tuple[str, str]] = set()
        self._old = {event.mark for event in self.events()}

    def events(self) -> list[WarningEvent]:
        """The newest event of every object and reason; none where events cannot be read.

        Returns:
            The newest first, but failed readiness probes last.

        Raises:
            TransientError: The API server is away.
        """
        try:
            found = warning_events(self._cluster, [self._name], _KINDS)
        except TransientError:
            raise
        except StepError as error:  # a help and no more
            self.say([str(error)])
            return []
        new = [event for event in found if event.mark not in self._old and self._is_about(event)]
        return sorted(new, key=lambda event: event.reason == _PROBE)

    def say(self, things: Iterable[str | WarningEvent]) -> None:
        """Warn of what holds the service up, of everything once: an event is the same whatever its message counts."""
        for thing in things:
            self._warn(thing, thing if isinstance(thing, str) else (thing.kind, thing.name, thing.reason))

    def _is_about(self, event: WarningEvent) -> bool:
        """Whether it is about the service or its parts, rather than one whose name starts as this one's."""
        if event.reason in _NOISE or _RETRIED in event.message:
            return False
        return event.name == self._name or event.name.startswith(
            (f"{self._name}-predictor", f"{self._name}-transformer")
        )


def refusal(events: Iterable[WarningEvent]) -> WarningEvent | None:
    """The event that says that the service cannot start, however long it is waited for."""
    for event in events:
        if event.kind != "InferenceService":
            continue
        refused = event.reason == _INTERNAL and any(words in event.message for words in _REFUSALS)
        if refused or event.reason == KNATIVE_MISSING:
            return event
    return None
