"""The files that the console reads; one look at them finds what has changed since the last."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from container_component_src import storage
from container_component_src.console.alarm_log import AlarmLog, NewAlarms
from container_component_src.console.growing_file import GrowingFile
from container_component_src.console.payload_index import PayloadIndex
from container_component_src.console.state import Dead, Readings
from container_component_src.console.verdict_table import VerdictTable
from container_component_src.drift.result import DriftReport
from container_component_src.errors import PipelineError
from container_component_src.steps.console import Console
from container_component_src.storage import Location

logger = logging.getLogger(__name__)


class DriftFile:
    """The last check for drift.

    Args:
        location: Its JSON file, which need not exist yet.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._version = ""

    def poll(self) -> DriftReport | None:
        """Return the check if the file is new or has changed since the last call.

        Raises:
            InputError: The file is no check for drift.
            OSError: It cannot be read.
            StepError: The store does not answer.
        """
        try:
            version = self._location.fingerprint()
        except FileNotFoundError:
            return None
        if version == self._version:
            return None
        found = DriftReport.read(self._location.uri)
        self._version = version
        return found


@dataclass
class Sources:
    """All files.

    Attributes:
        alarms: Events of alarms.
        verdicts: Table of the verdicts.
        payloads: Index of the payload log; None: there is none.
        drift: Check for drift; None: there is none.
        dead_after: Seconds.
    """

    alarms: AlarmLog
    verdicts: VerdictTable
    payloads: PayloadIndex | None
    drift: DriftFile | None
    dead_after: float
    _problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Console) -> "Sources":
        """Return the files that arguments name; none is opened.

        Raises:
            InputError: An address or a setting of the store is invalid.
        """
        payload_log, drift = arguments.payload_log, arguments.drift
        return cls(
            AlarmLog(GrowingFile(storage.resolve(arguments.alarms))),
            VerdictTable(storage.resolve(arguments.feedback)),
            PayloadIndex(storage.resolve(payload_log)) if payload_log else None,
            DriftFile(storage.resolve(drift)) if drift else None,
            arguments.dead_after,
        )

    def poll(self) -> Readings:
        """Return what has changed; a file that cannot be read is a problem that the page shows."""
        alarms = self._look("alarms", self.alarms.poll, NewAlarms({}, False))
        if self.alarms.unreadable:
            self._problems.setdefault("alarms", f"lines that are no alarms: {self.alarms.unreadable}")
        return Readings(
            alarms=alarms.alarms,
            all_alarms=alarms.restarted,
            verdicts=self._look("verdicts", self.verdicts.poll, None),
            drift=self._look("drift", self.drift.poll, None) if self.drift else None,
            dead=self._look("payload log", lambda: self._dead(self.payloads), None),
            problems={**self._problems},
        )

    def _dead(self, payloads: PayloadIndex | None) -> Dead | None:
        if payloads is None or not payloads.poll():
            return None
        return Dead(payloads.last_row, payloads.dead(round(self.dead_after * 10**9)))

    def _look(self, name: str, poll: Callable[[], Any], nothing: Any) -> Any:
        """Return what a source gives; note its problem, if it has one, and log it once."""
        try:
            found = poll()
        except (PipelineError, OSError) as error:
            if self._problems.get(name) != str(error):
                logger.warning("%s: %s", name, error)
            self._problems[name] = str(error)
            return nothing
        self._problems.pop(name, None)
        return found
