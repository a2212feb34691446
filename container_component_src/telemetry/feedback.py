"""What the verdicts of operators on alarms say of the time outside reported anomalies.

A report outweighs every verdict: its times are exact, and it was written by somebody who looked into the anomaly. Of
verdicts that contradict each other, because alarms of two models overlap, the later one counts.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from container_component_src.telemetry.events import Event, shown_names
from container_component_src.telemetry.verdicts import Feedback, Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """Time that operators have judged, by verdict; intervals of different verdicts never overlap, nor any a report."""

    anomalies: tuple[Event, ...] = ()
    rare_nominal: tuple[Event, ...] = ()
    false_alarms: tuple[Event, ...] = ()


def judge(feedback: Sequence[Feedback], reported: Sequence[Event]) -> Judged:
    """Return the time that verdicts speak of, as events whose IDs no report has.

    Verdicts on alarms that overlap a report add nothing: a true one confirms it, the others contradict it. Alarms of
    the same verdict that overlap are one event. All of this does not depend on the order of the verdicts.

    Args:
        feedback: At most one verdict on an alarm.
        reported: The reported anomalies, sorted in any way.
    """
    covered = _overlapping_reports(feedback, reported)
    outweighed = [item for item, is_covered in zip(feedback, covered, strict=True) if is_covered]
    _log(logging.INFO, "confirm anomaly reports", (item for item in outweighed if item.verdict is Verdict.TRUE))
    _log(
        logging.WARNING,
        "contradict anomaly reports and are ignored",
        (item for item in outweighed if item.verdict is not Verdict.TRUE),
    )
    rest = [item for item, is_covered in zip(feedback, covered, strict=True) if not is_covered]
    kept = [item for group in _groups(rest) for item in _without_contradictions(group)]
    taken = {event.id for event in reported}
    return Judged(
        *(
            tuple(_event(group, taken) for group in _groups([item for item in kept if item.verdict is verdict]))
            for verdict in (Verdict.TRUE, Verdict.RARE_NOMINAL, Verdict.FALSE)
        )
    )


def _overlapping_reports(feedback: Sequence[Feedback], reported: Sequence[Event]) -> list[bool]:
    """Return for each alarm whether it overlaps a report."""
    starts, ends = (np.sort([getattr(event, name) for event in reported]) for name in ("start", "end"))
    first, last = (np.array([getattr(item, name) for item in feedback], np.int64) for name in ("start", "end"))
    # As many reports overlap an alarm as have started by its end and have not ended before its start.
    overlapping: list[bool] = (
        np.searchsorted(starts, last, side="right") > np.searchsorted(ends, first, side="right")
    ).tolist()
    return overlapping


def _groups(feedback: Iterable[Feedback]) -> Iterator[list[Feedback]]:
    """Yield alarms that overlap, also by way of others, together and in order of time."""
    group: list[Feedback] = []
    for item in sorted(feedback, key=lambda item: (item.start, item.end, item.alarm_id)):
        if group and item.start > max(other.end for other in group):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _without_contradictions(group: Sequence[Feedback]) -> list[Feedback]:
    """Return the verdicts of alarms that overlap, without those that a later one contradicts."""
    kept: list[Feedback] = []
    for item in sorted(group, key=lambda item: (item.at, item.start, item.end, item.alarm_id), reverse=True):
        later = next((other for other in kept if other.verdict is not item.verdict and _overlap(item, other)), None)
        if later is None:
            kept.append(item)
        else:
            logger.warning(
                "the verdict '%s' on alarm %s is ignored: alarm %s overlaps it and was judged '%s' later",
                *(item.verdict, item.alarm_id, later.alarm_id, later.verdict),
            )
    return kept


def _overlap(one: Feedback, other: Feedback) -> bool:
    return one.start <= other.end and other.start <= one.end


def _event(group: Sequence[Feedback], taken: Collection[str]) -> Event:
    """Return alarms of the same verdict that overlap as one event, whose ID is not taken."""
    first = group[0]
    return Event(
        id=next(name for name in _names(first.alarm_id) if name not in taken),
        symbol=next((item.subsystem for item in group if item.subsystem), ""),
        title="; ".join(dict.fromkeys(item.comment for item in group if item.comment)),
        start=first.start,
        end=max(item.end for item in group) + 1,  # the last row of an alarm is part of it
        origin="verdict",
    )


def _names(alarm_id: str) -> Iterator[str]:
    """Yield an ID and variants of it."""
    yield alarm_id
    yield from (f"{alarm_id}-{number}" for number in count(2))


def _log(level: int, what: str, feedback: Iterable[Feedback]) -> None:
    """Log what some verdicts do, with the IDs of the first alarms."""
    names = [item.alarm_id for item in feedback]
    if names:
        logger.log(level, "%d verdicts %s: %s", len(names), what, shown_names(names))
