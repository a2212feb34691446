"""Warning events, which say why Kubernetes cannot create or start something."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from container_component_src.cluster.access import Cluster
from container_component_src.errors import StepError

SHOWN_EVENTS = 3
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class WarningEvent:
    """A warning about an object."""

    kind: str  # kind of the object
    name: str  # name of the object
    reason: str
    message: str
    mark: tuple[str, str]  # changes when the event occurs again

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.reason} ({self.message})"


def warnings_about(
    cluster: Cluster, names: Iterable[str], kinds: Collection[str] = (), since: datetime = _NEVER
) -> list[str]:
    """Return the newest warnings about objects and the objects that their controllers created, one line each.

    If a quota, an admission policy or an operator refuses a pod, only an event says so; the status of the job does not.
    If the events cannot be read, the reason is the only line.

    Args:
        cluster: Cluster of the objects.
        names: Names of objects; objects whose name starts with one of them and a hyphen are included.
        kinds: Kinds of objects to include, such as `Job` and `Pod`; all by default.
        since: Events last seen before this time are excluded.

    Returns:
        At most `SHOWN_EVENTS` lines, the newest first, one for each object and reason.
    """
    try:
        return [str(event) for event in warning_events(cluster, names, kinds, since)[:SHOWN_EVENTS]]
    except StepError as error:
        return [str(error)]


def warning_events(
    cluster: Cluster, names: Iterable[str], kinds: Collection[str] = (), since: datetime = _NEVER
) -> list[WarningEvent]:
    """Return all events that `warnings_about` selects, the newest first.

    Raises:
        StepError: The events cannot be read.
    """
    wanted = tuple(names)
    found = cluster.request(
        cluster.core.list_namespaced_event, "list", "events", cluster.namespace, field_selector="type=Warning"
    )
    newest: dict[tuple[str, str, str], WarningEvent] = {}
    for event in sorted(found.items, key=_time, reverse=True):
        item = event.involved_object
        if _time(event) >= since and _matches(item.name or "", wanted) and (not kinds or item.kind in kinds):
            message = _without_suffixes(" ".join((event.message or "no message").split()), item.name)
            mark = (event.metadata.uid or event.metadata.name, event.metadata.resource_version or "")
            warning = WarningEvent(item.kind, item.name, event.reason, message, mark)
            newest.setdefault((item.kind, item.name, event.reason), warning)
    return list(newest.values())


def _without_suffixes(message: str, name: str) -> str:
    """Replace the random suffixes of pod names, which differ between attempts to create the same pod."""
    return re.sub(rf"\b{re.escape(name)}-[a-z0-9]{{5}}\b", f"{name}-*", message)


def _matches(name: str, wanted: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}-") for prefix in wanted)


def _time(event: Any) -> datetime:
    """Return when an event (`CoreV1Event`) was last seen; the field depends on the controller's age."""
    series = event.series.last_observed_time if event.series else None
    seen = series or event.last_timestamp or event.event_time or event.metadata.creation_timestamp or _NEVER
    return seen if isinstance(seen, datetime) else _NEVER
