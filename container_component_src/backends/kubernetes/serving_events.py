"""Warning events about an InferenceService while it is deployed: KServe reports some problems only in events."""

import logging
from collections.abc import Iterable

from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.events import WarningEvent, warning_events
from container_component_src.errors import StepError
from container_component_src.once import WarnOnce

KNATIVE_MISSING = "ServerlessModeRejected"
# Events that repeat the conditions, or say that KServe repeats a write after a conflict.
_IGNORED = {"InferenceServiceNotReady", "UpdateFailed"}
_RETRIED = "the object has been modified"
_PROBE = "Unhealthy"  # every server that starts has such events
_INTERNAL = "InternalError"  # every failure of KServe's controller; most of them pass
_REFUSALS = ("is invalid:", "denied the request")  # refused objects of the service; these do not pass
# The autoscaler is left out: without metrics, it complains about every service.
_KINDS = ("InferenceService", "Deployment", "ReplicaSet", "Pod", "Service", "Configuration", "Revision")

logger = logging.getLogger(__name__)


class Watch:
    """Collects the Warning events of an InferenceService and its components since the watch began.

    Events are kept for an hour, so those of the previous spec still exist. Events that exist at the start do not count.

    Args:
        cluster: Cluster of the service.
        name: Name of the service, which need not exist yet.

    Raises:
        TransientError: The API server is unreachable.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._warn = WarnOnce(logger)
        self._old: set[tuple[str, str]] = set()
        self._old = {event.mark for event in self.events()}

    def events(self) -> list[WarningEvent]:
        """Return the newest event of every object and reason; empty if events cannot be read.

        Returns:
            The newest first, but failed readiness probes last.

        Raises:
            TransientError: The API server is unreachable.
        """
        try:
            found = warning_events(self._cluster, [self._name], _KINDS)
        except TransientError:
            raise
        except StepError as error:  # events only help to explain problems
            self.warn([str(error)])
            return []
        new = [event for event in found if event.mark not in self._old and self._is_about(event)]
        return sorted(new, key=lambda event: event.reason == _PROBE)

    def warn(self, reasons: Iterable[str | WarningEvent]) -> None:
        """Log why the service is not ready, each reason once; an event is the same even if its count changes."""
        for reason in reasons:
            self._warn(reason, reason if isinstance(reason, str) else (reason.kind, reason.name, reason.reason))

    def _is_about(self, event: WarningEvent) -> bool:
        """Return whether an event is about the service or its components, and not about one with a longer name."""
        if event.reason in _IGNORED or _RETRIED in event.message:
            return False
        return event.name == self._name or event.name.startswith(
            (f"{self._name}-predictor", f"{self._name}-transformer")
        )


def refusal(events: Iterable[WarningEvent]) -> WarningEvent | None:
    """Return the event that says that the service will never start."""
    for event in events:
        if event.kind != "InferenceService":
            continue
        refused = event.reason == _INTERNAL and any(words in event.message for words in _REFUSALS)
        if refused or event.reason == KNATIVE_MISSING:
            return event
    return None
