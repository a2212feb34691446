"""What the page shows, and what has changed of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from container_component_src.alarms.alarm import Alarm
from container_component_src.drift.result import DriftReport
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.telemetry.verdicts import Feedback

MOST_IN_EVENT = 200  # alarms of one event


@dataclass(frozen=True)
class Dead:
    """The channels that send no values."""

    last_row: int = 0  # time of the last row, nanoseconds; 0: no row is known
    channels: Mapping[str, int] = field(default_factory=dict)  # time of the last value; 0: none has been seen


@dataclass(frozen=True)
class Readings:
    """What one look at the files has found; None: it has not changed."""

    alarms: Mapping[str, Alarm] = field(default_factory=dict)  # new or changed ones
    all_alarms: bool = False  # whether these are all that there are
    verdicts: Mapping[str, Feedback] | None = None
    drift: DriftReport | None = None
    dead: Dead | None = None
    problems: Mapping[str, str] | None = None  # by source


Change = tuple[str, Any]  # name of an event, and its content as JSON


@dataclass
class State:
    """Alarms, verdicts, drift and dead channels."""

    alarms: dict[str, Alarm] = field(default_factory=dict)
    verdicts: dict[str, Feedback] = field(default_factory=dict)
    drift: DriftReport | None = None
    dead: Dead | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def apply(self, found: Readings) -> list[Change]:
        """Take over what has been found, and return what has changed of the page."""
        changes: list[Change] = []
        if found.all_alarms:
            self.alarms = {}
            changes.append(("reset", {}))
        self.alarms |= found.alarms
        shown = [shown_alarm(alarm) for alarm in found.alarms.values()] if not found.all_alarms else []
        changes += [("alarms", shown[first : first + MOST_IN_EVENT]) for first in range(0, len(shown), MOST_IN_EVENT)]
        if found.verdicts is not None and found.verdicts != self.verdicts:
            self.verdicts = {**found.verdicts}
            changes.append(("verdicts", self.shown_verdicts()))
        if found.drift is not None and found.drift != self.drift:
            self.drift = found.drift
            changes.append(("drift", shown_drift(found.drift)))
        if found.dead is not None and found.dead != self.dead:
            self.dead = found.dead
            changes.append(("dead", shown_dead(found.dead)))
        if found.problems is not None and found.problems != self.problems:
            self.problems = {**found.problems}
            changes.append(("problems", self.problems))
        return changes

    def give(self, verdict: Feedback) -> Change:
        """Take over a verdict that has been written."""
        self.verdicts = {**self.verdicts, verdict.alarm_id: verdict}
        return "verdict", shown_verdict(verdict)

    def shown(self) -> dict[str, Any]:
        """Return all that the page shows, as JSON."""
        return {
            "alarms": [shown_alarm(alarm) for alarm in self.alarms.values()],
            "verdicts": self.shown_verdicts(),
            "drift": shown_drift(self.drift) if self.drift else None,
            "dead": shown_dead(self.dead) if self.dead else None,
            "problems": self.problems,
        }

    def shown_verdicts(self) -> list[dict[str, Any]]:
        """Return the verdicts as JSON."""
        return [shown_verdict(item) for item in self.verdicts.values()]


def shown_alarm(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as JSON, which is that of a line of the events."""
    return alarm.model_dump(mode="json")


def shown_verdict(verdict: Feedback) -> dict[str, Any]:
    """Return a verdict as JSON: the columns of its row."""
    return verdict.model_dump(mode="json")


def shown_dead(dead: Dead) -> dict[str, Any]:
    """Return the dead channels as JSON."""
    return {
        "last_row": to_iso(dead.last_row) if dead.last_row else None,
        "channels": {name: to_iso(last) if last else None for name, last in dead.channels.items()},
    }


def shown_drift(report: DriftReport) -> dict[str, Any]:
    """Return of a check for drift what the page shows, as JSON: the channels that have drifted."""
    whole = report.model_dump(mode="json", include={"start", "end", "rows", "exceeded", "reasons", "scores"})
    drifted = {name: item.model_dump(mode="json") for name, item in report.drifted.items()}
    return {**whole, "total": len(report.channels), "drifted": drifted}
