"""Warning events: where Kubernetes says why something that it was asked for does not come into being."""

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
    """What happened to an object."""

    kind: str  # of the object
    name: str  # of the object
    reason: str
    message: str
    mark: tuple[str, str]  # changes when it happens again

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.reason} ({self.message})"


def warnings_about(
    cluster: Cluster, names: Iterable[str], kinds: Collection[str] = (), since: datetime = _NEVER
) -> list[str]:
    """The newest Warning events of objects and of what their controllers named after them, one line each.

    Quotas, admission policies and operators refuse pods without a trace in the status of a job: only events tell. They
    are a help and no more: where they cannot be read, the reason why is the only line.

    Args:
        cluster: Where the objects are.
        names: Of objects; events of objects whose names start with one of them and a hyphen count too.
        kinds: Of the objects that count, such as `Job` and `Pod`; all by default.
        since: Events that were last seen before do not count.

    Returns:
        At most `SHOWN_EVENTS` lines, the newest first; one for each object and reason.
    """
    try:
        return [str(event) for event in warning_events(cluster, names, kinds, since)[:SHOWN_EVENTS]]
    except StepError as error:
        return [str(error)]


def warning_events(
    cluster: Cluster, names: Iterable[str], kinds: Collection[str] = (), since: datetime = _NEVER
) -> list[WarningEvent]:
    """As `warnings_about`, but all of them.

    Raises:
        StepError: They cannot be read.
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
    """A message without the random suffixes of refused pods: each attempt to create one has another."""
    return re.sub(rf"\b{re.escape(name)}-[a-z0-9]{{5}}\b", f"{name}-*", message)


def _matches(name: str, wanted: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}-") for prefix in wanted)


def _time(event: Any) -> datetime:
    """When an event (`CoreV1Event`) was last seen; newer controllers fill other fields than older ones."""
    series = event.series.last_observed_time if event.series else None
    seen = series or event.last_timestamp or event.event_time or event.metadata.creation_timestamp or _NEVER
    return seen if isinstance(seen, datetime) else _NEVER
