"""The manifest of a dataset: its partitions, and what is known of them without reading a row."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from pydantic import Field

from container_component_src.errors import InputError
from container_component_src.repetition import first_repeated
from container_component_src.storage import Location
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.values import Frozen

PARTITION_FILE = re.compile(r"part-([0-9a-f]{8})-\d{5,}\.parquet")  # attempt that wrote it, and its number


class Partition(Frozen):
    """One parquet file of a dataset, or the rows of it that belong to a view, or some row groups of an archive."""

    file: str
    rows: int = Field(ge=1)
    start: int  # first timestamp, nanoseconds since 1970-01-01 UTC
    end: int  # last timestamp, inclusive
    # Of a view's rows, or of an archive's row groups, in the file: the first, and the one after the last.
    ranges: tuple[tuple[int, int], ...] = ()


class Manifest(Frozen):
    """Description of a dataset, written as its last file."""

    timestamp_col: str
    channels: tuple[str, ...]  # in the order of the columns
    partitions: tuple[Partition, ...]
    source: str = ""  # URI of the dataset with the files of a view
    archive: str = ""  # URI of the archive whose row groups the partitions name
    fingerprint: str = ""  # of that archive, which changes if the file does
    labelled: bool = False  # the labels of a view follow from its events
    # Number of NaN, infinite or null values, of channels that have any; None if they were not counted.
    missing: dict[str, int] | None = None
    events: tuple[Event, ...] = ()  # anomalies with rows in the dataset
    events_without_rows: tuple[Event, ...] = ()  # anomalies in its gaps or outside it
    rare_nominal: tuple[Event, ...] = ()  # normal, but too rare to train on; they overlap no anomaly
    false_alarms: tuple[Event, ...] = ()  # judged as normal operation; of a label series
    scaler: Scaler | None = None  # with which the values were scaled
    left_out: dict[str, str] = Field(default_factory=dict)  # why columns of the archives are not channels, by name
    notes: dict[str, Any] = Field(default_factory=dict)  # how the dataset was made

    @property
    def rows(self) -> int:
        """Number of rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)

    def metadata(self) -> dict[str, Any]:
        """Return the summary that the pipeline shows for the artifact."""
        return {
            "rows": self.rows,
            "channels": len(self.channels),
            "partitions": len(self.partitions),
            "start": to_iso(self.partitions[0].start),
            "end": to_iso(self.partitions[-1].end),
            **({} if self.missing is None else {"missing_values": sum(self.missing.values())}),
            **self.notes,
        }


def contradiction(manifest: Manifest, location: Location, source: Manifest | None = None) -> str:
    """Return in what a manifest contradicts itself or the files that it lists, or "".

    Args:
        manifest: The manifest.
        location: Its folder.
        source: The manifest of the dataset with the files of a view.
    """
    listed = [] if manifest.archive else [partition.file for partition in manifest.partitions]
    for name in (first_repeated((manifest.timestamp_col, *manifest.channels)), first_repeated(listed)):
        if name is not None:
            return f"{location.uri}: the manifest lists '{name}' twice"
    if not manifest.partitions:
        return f"{location.uri}: the manifest lists no files"
    if not all(before.end < after.start for before, after in pairwise(manifest.partitions)):
        return f"{location.uri}: the files of the manifest overlap in time"
    if source:
        return _not_within(manifest, location, source)
    return _other_files(listed, location)


def _not_within(view: Manifest, location: Location, source: Manifest) -> str:
    """Return what a view names that its source does not have, or ""."""
    columns = {source.timestamp_col, *source.channels}
    if other := next((name for name in (view.timestamp_col, *view.channels) if name not in columns), ""):
        return f"{location.uri}: {view.source} does not have the column '{other}'"
    rows = {partition.file: partition.rows for partition in source.partitions}
    if other := next((part.file for part in view.partitions if not _within(part, rows.get(part.file, 0))), ""):
        return f"{location.uri}: {view.source} does not have the rows that the manifest lists ({other})"
    return ""


def _other_files(listed: Sequence[str], location: Location) -> str:
    """Return how the files of a folder differ from those that its manifest lists, or ""."""
    names = {child.name for child in location.children()}
    if missing := next((name for name in listed if name not in names), ""):
        return f"{(location / missing).uri}: no such file, but the manifest lists it"
    # Files of other attempts may be left where the store does not allow their deletion.
    attempts = {_attempt(name) for name in listed}
    others = [name for name in sorted(names - {*listed}) if name.endswith(".parquet")]
    if other := next((name for name in others if _attempt(name) in {"", *attempts}), ""):
        return f"{(location / other).uri}: the manifest does not list this file"
    return ""


def _within(part: Partition, rows: int) -> bool:
    """Return whether the ranges of a view's partition are ascending ranges of a file's rows, as many as it says."""
    stops = [0, *(stop for _, stop in part.ranges)]
    ascending = all(before <= first < stop for before, (first, stop) in zip(stops, part.ranges, strict=False))
    return ascending and stops[-1] <= rows and part.rows == sum(stop - first for first, stop in part.ranges)


def _attempt(name: str) -> str:
    """Return the attempt that wrote a partition by the name of its file, or "" for another file."""
    found = PARTITION_FILE.fullmatch(name)
    return found[1] if found else ""


def check_disjoint(periods: Iterable[tuple[str, int, int]]) -> None:
    """Check that each file starts after the end of the previous one.

    Args:
        periods: Name, first and last timestamp of each file, nanoseconds since 1970-01-01 UTC.

    Raises:
        InputError: A file does not; the message names both files.
    """
    for (before, _, end), (after, start, _) in pairwise(periods):
        if start <= end:
            rows = "this row" if start == end else "the rows of this period"
            raise InputError(
                f"{after}: starts at {to_iso(start)}, but {before} ends at {to_iso(end)}",
                fix=f"remove {rows} from one of the archives",
            )
