"""The rows of a period from a file, a folder of archives, a dataset or a payload log."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from container_component_src import storage
from container_component_src.drift.detection import Rows
from container_component_src.errors import InputError
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.client.source import STDIN, Source
from container_component_src.steps.drift import CheckDrift, time_of
from container_component_src.storage import Location
from container_component_src.telemetry.archive_files import find_archives
from container_component_src.telemetry.arrow import to_numpy
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.payload_log import RECEIVED, TIMESTAMP, Period, newest_payloads, values_in
from container_component_src.telemetry.views import MANIFEST_NAME

PIECE_ROWS = 65_536
LOGGED_DAY = "date="  # at the start of the names of the folders of a payload log
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_NANOSECONDS_PER_HOUR = 3_600 * 10**9


@dataclass(frozen=True)
class TelemetryOfPeriod:
    """Rows of a period that are read piece by piece.

    Attributes:
        arguments: What to read.
        info: The model with whose channels it is read.
        period: Which rows are read.
        logged: Whether it is a payload log, which has the scores, too.
    """

    arguments: CheckDrift
    info: BundleInfo
    period: Period
    logged: bool

    @classmethod
    def of(cls, arguments: CheckDrift, info: BundleInfo) -> Self:
        """Find out what the arguments name."""
        logged = arguments.input != STDIN and _is_payload_log(storage.resolve(arguments.input))
        return cls(arguments, info, period_of(arguments, time.time_ns()), logged)

    def pieces(self) -> Iterator[Rows]:
        """Yield the rows, in order of time unless they are from a payload log.

        Raises:
            InputError: They cannot be read, lack a channel, or have no timestamps.
        """
        if self.logged:
            yield from self._log()
            return
        for rows in self._telemetry():
            inside = (rows.timestamps >= self.period.start) & (rows.timestamps < self.period.end)
            if inside.any():
                yield rows if inside.all() else Rows(rows.timestamps[inside], rows.values[inside])

    def _telemetry(self) -> Iterator[Rows]:
        if self.arguments.input == STDIN:
            yield from self._file(STDIN)
            return
        location = storage.resolve(self.arguments.input)
        if (location / MANIFEST_NAME).exists():
            yield from self._dataset()
        elif location.is_file() or not location.exists():
            yield from self._file(self.arguments.input)
        else:
            for file in find_archives(self.arguments.input):
                yield from self._file(file.uri)

    def _file(self, name: str) -> Iterator[Rows]:
        source = Source(self.arguments.model_copy(update={"input": name}), self.info.channels, impute=True)
        for batch in source.batches(PIECE_ROWS):
            if batch.timestamps is None:
                raise InputError(
                    f"{source.name}: there is no column '{self.arguments.timestamp_col}' with the timestamps",
                    fix="name it with --timestamp-col",
                )
            yield Rows(batch.timestamps, batch.values)

    def _dataset(self) -> Iterator[Rows]:
        dataset = Dataset.open(self.arguments.input)
        if dataset.manifest.scaler is not None:
            raise InputError(f"{self.arguments.input}: a scaled dataset", fix="name the dataset before the scaling")
        _check_channels(self.arguments.input, dataset.channels, self.info.channels)
        for partition in dataset.manifest.partitions:
            if partition.end >= self.period.start and partition.start < self.period.end:
                frame = dataset.read(partition, self.info.channels)
                yield Rows(frame.timestamps, frame.values)

    def _log(self) -> Iterator[Rows]:
        """Yield the rows that were received in the period, dated by their timestamps if they have some.

        Scores of other models are left out.
        """
        for table in newest_payloads(self.arguments.input, self.info.channels, self.period, expected=False):
            received, timestamps = (table.column(name).cast(pa.int64()) for name in (RECEIVED, TIMESTAMP))
            own = pc.equal(table.column("model_version"), self.info.version)
            scores = pc.if_else(own, table.column("smoothed_score"), None)
            yield Rows(
                timestamps=to_numpy(pc.coalesce(timestamps, received)),
                values=values_in(table, self.info.channels),
                smoothed_scores=to_numpy(pc.fill_null(scores, np.nan)),
            )


def period_of(arguments: CheckDrift, now: int) -> Period:
    """Return the period that the arguments name; `now` is in nanoseconds since 1970-01-01 UTC."""
    end = _nanoseconds(arguments.until) if arguments.until else now if arguments.hours else _LAST
    if arguments.hours:
        return Period(end - round(arguments.hours * _NANOSECONDS_PER_HOUR), end)
    return Period(_nanoseconds(arguments.since) if arguments.since else _FIRST, end)


def _nanoseconds(text: str) -> int:
    return round(time_of(text).timestamp() * 10**6) * 1_000


def _is_payload_log(folder: Location) -> bool:
    return any(child.name.startswith(LOGGED_DAY) for child in folder.children())


def _check_channels(source: str, channels: Sequence[str], needed: Sequence[str]) -> None:
    missing = next((name for name in needed if name not in channels), None)
    if missing is not None:
        raise InputError(f"{source}: channel '{missing}' of the model is missing", fix="use telemetry that has it")
