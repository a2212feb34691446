"""The alarms of a file of events that grows: the last line of an ID counts."""

import logging
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from container_component_src.alarms.alarm import Alarm
from container_component_src.console.growing_file import GrowingFile
from container_component_src.values import describe

logger = logging.getLogger(__name__)


class NewAlarms(NamedTuple):
    """Alarms that are new or have changed, by ID."""

    alarms: dict[str, Alarm]
    restarted: bool  # whether these are all that there are, as the file has been replaced


@dataclass
class AlarmLog:
    """Reads new events.

    Attributes:
        file: The file of events.
        unreadable: Lines that are no alarms.
    """

    file: GrowingFile
    unreadable: int = field(default=0, init=False)

    def poll(self) -> NewAlarms:
        """Return what has changed since the last call; see `GrowingFile.poll` for errors."""
        new = self.file.poll()
        if new.restarted:
            self.unreadable = 0
        alarms: dict[str, Alarm] = {}
        for line in new.lines:
            if line.strip():
                try:
                    alarm = Alarm.model_validate_json(line)
                except ValidationError as error:
                    self.unreadable += 1
                    logger.warning("%s: a line is no alarm (%s)", self.file.location.uri, describe(error))
                else:
                    alarms[alarm.id] = alarm
        return NewAlarms(alarms, new.restarted)
