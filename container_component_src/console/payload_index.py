"""Which files of a payload log have which rows, and which channels are dead; each file is looked into once."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.arrow import timestamps_of
from container_component_src.telemetry.parquet import ParquetTable, open_parquet
from container_component_src.telemetry.payload_log import (
    RECEIVED,
    TIMESTAMP,
    VALUE,
    Period,
    payload_files,
    payloads_of,
    values_in,
)

NEW_FILES = 200  # that one look opens; the others wait for the next ones
LOOK_BACK = 50  # files in which the last value of a channel is looked for at the start
_DAY = 86_400 * 10**9  # nanoseconds
_LATEST = 2**63 - 1
_FIX = "delete it, or move it out of the folder of the payload log"

logger = logging.getLogger(__name__)


class Footer(NamedTuple):
    """What the footer of a file says."""

    period: Period  # of its rows
    channels: tuple[str, ...]


@dataclass
class PayloadIndex:
    """An index of a payload log.

    Attributes:
        root: Folder of the log, which need not exist yet.
        now: Clock that rows are received by, nanoseconds since 1970-01-01 UTC.
        last_row: Time of the last row, nanoseconds; 0: none yet.
    """

    root: Location
    now: Callable[[], int] = time.time_ns
    last_row: int = 0
    _footers: dict[str, Footer | None] = field(default_factory=dict)  # by path; None: the file cannot be read
    _waiting: dict[str, Location] = field(default_factory=dict)  # by path
    _last_values: dict[str, int] = field(default_factory=dict)  # time by channel; 0: no value has been seen
    _day: int = -1  # on which all folders were listed

    def poll(self) -> bool:
        """Look into new files, the newest first; return whether there were any.

        Raises:
            OSError: The folder cannot be listed.
            PipelineError: The store does not answer or refuses to.
        """
        self._list()
        new = sorted(self._waiting, reverse=True)[:NEW_FILES]
        newest, footers = max(self._footers, default=""), dict(self._footers)
        for path in new:
            file = self._waiting.pop(path)
            footers[path] = _footer(file)
            if (found := footers[path]) and (path > newest or len(footers) <= LOOK_BACK):
                self._look_for_values(file, found.channels)
        self._footers = footers  # replaced, as other threads may be reading it
        return bool(new)

    def files(self, period: Period) -> list[Location]:
        """Return the files with rows whose timestamps may be in a period."""
        return [
            Location(self.root.store, path)
            for path, found in self._footers.items()
            if found and found.period.start < period.end and found.period.end > period.start
        ]

    def dead(self, after: int) -> dict[str, int]:
        """Return the channels without a value for a time, and the time of the last value; 0: none has been seen.

        Args:
            after: Nanoseconds.
        """
        return {name: last for name, last in sorted(self._last_values.items()) if self.last_row - last >= after}

    def _list(self) -> None:
        """Find files that are not known: once a day in all folders, otherwise in those that may have got new ones."""
        today = self.now() // _DAY
        period = Period((today - 1) * _DAY, _LATEST) if today == self._day else None
        listed = {file.path: file for file in payload_files(self.root, period)}
        if period is None:  # old days may have been deleted
            self._footers = {path: footer for path, footer in self._footers.items() if path in listed}
        self._waiting |= {path: file for path, file in listed.items() if path not in self._footers}
        self._day = today

    def _look_for_values(self, file: Location, channels: tuple[str, ...]) -> None:
        """Note the time of the last value of every channel."""
        for table in payloads_of([file], channels, expected=False):
            times = timestamps_of(table.column(RECEIVED if table.column(TIMESTAMP).null_count else TIMESTAMP))
            present = np.isfinite(values_in(table, channels))
            last = np.where(present, times[:, np.newaxis], 0).max(axis=0, initial=0)
            for name, value in zip(channels, last.tolist(), strict=True):
                self._last_values[name] = max(value, self._last_values.get(name, 0))
            self.last_row = max(self.last_row, int(times.max()))


def _footer(file: Location) -> Footer | None:
    """Return what a footer says; None if the file cannot be read."""
    try:
        with ParquetTable(file, open_parquet(file, _FIX), _FIX) as parquet:
            ends = parquet.ends(TIMESTAMP) or parquet.ends(RECEIVED)
            channels = tuple(name.removeprefix(VALUE) for name in parquet.schema.names if name.startswith(VALUE))
    except (InputError, FileNotFoundError, ValueError) as error:
        logger.warning("payload log: a file is left out: %s", error)
        return None
    return Footer(Period(ends[0], ends[1] + 1), channels) if ends else None
