"""The dataset artifact: a folder of parquet partitions sorted by time, and a manifest that is written last.

Every partition has the timestamp (UTC, nanoseconds), the channels as float32 (NaN for missing values) and, in labelled
datasets, the label column `Anomaly` (0 or 1). Datasets are read partition by partition, so memory does not grow with
the number of rows. A folder without a manifest, or with an empty one, is an unfinished dataset, which is an error.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from container_component_src import storage
from container_component_src.arrays import BoolArray, Float32Array, Int8Array, Timestamps
from container_component_src.data_root import IF_DELETED
from container_component_src.errors import InputError
from container_component_src.repetition import first_repeated
from container_component_src.storage import Location
from container_component_src.telemetry.arrow import to_numpy
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.parquet import open_parquet, readable
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.values import Frozen, describe

LABEL_COL = "Anomaly"
MANIFEST_NAME = "_manifest.json"
MAX_MANIFEST_BYTES = 256 * 2**20
_WRITE_AGAIN = f"run the step that writes the dataset again, {IF_DELETED}"
_TRANSPOSED_ROWS = 8_192  # at a time: a copy of a whole partition would set the peak memory of every reader
TIMESTAMP_TYPE = pa.timestamp("ns", tz="UTC")
PARTITION_FILE = re.compile(r"part-([0-9a-f]{8})-\d{5,}\.parquet")  # attempt that wrote it, and its number


class Partition(Frozen):
    """One parquet file of a dataset."""

    file: str
    rows: int = Field(ge=1)
    start: int  # first timestamp, nanoseconds since 1970-01-01 UTC
    end: int  # last timestamp, inclusive


class Manifest(Frozen):
    """Description of a dataset, written as its last file."""

    timestamp_col: str
    channels: tuple[str, ...]  # in the order of the columns
    partitions: tuple[Partition, ...]
    labelled: bool = False
    missing: dict[str, int] = Field(
        default_factory=dict
    )  # number of NaN, infinite or null values, of channels that have any
    events: tuple[Event, ...] = ()  # reported anomalies with rows in the dataset
    events_without_rows: tuple[Event, ...] = ()  # in its gaps or outside it
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
            "missing_values": sum(self.missing.values()),
            **self.notes,
        }


@dataclass(frozen=True)
class Frame:
    """Rows in memory."""

    timestamps: Timestamps  # shape [rows], ascending
    values: Float32Array  # shape [rows, channels]
    labels: Int8Array | None = None  # shape [rows], 0 or 1

    def __len__(self) -> int:
        return len(self.timestamps)

    def where(self, mask: BoolArray) -> "Frame":
        """Return the rows for which a mask of shape [rows] is true."""
        return Frame(self.timestamps[mask], self.values[mask], None if self.labels is None else self.labels[mask])


@dataclass(frozen=True)
class Dataset:
    """A finished dataset that is open for reading."""

    location: Location
    manifest: Manifest
    selected: tuple[str, ...] | None = None  # the channels that are read; None: all

    @classmethod
    def open(cls, uri: str, endpoint: str = "") -> "Dataset":
        """Open a dataset by its URI.

        Raises:
            InputError: There is no dataset, it is unfinished, or its manifest is damaged or does not list its files.
        """
        location = storage.resolve(uri, endpoint)
        manifest = location / MANIFEST_NAME
        content = manifest.read_bytes(MAX_MANIFEST_BYTES) if manifest.exists() else b""
        if not content:
            state = "unfinished dataset" if location.exists() else "no such dataset"
            state = "a file, not a dataset" if location.is_file() else state
            raise InputError(
                f"{uri}: {state} (no {MANIFEST_NAME}, or an empty one)",
                fix=f"run the step that writes it to its end, {IF_DELETED}",
            )
        try:
            dataset = cls(location, Manifest.model_validate_json(content))
        except ValidationError as error:
            raise InputError(f"{manifest.uri}: damaged manifest ({describe(error)})", fix=_WRITE_AGAIN) from error
        problem = _contradiction(dataset)
        if problem:
            raise InputError(problem, fix=_WRITE_AGAIN)
        return dataset

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, in the order of the columns of `Frame.values`."""
        return self.manifest.channels if self.selected is None else self.selected

    def varying(self) -> "Dataset":
        """Return the dataset without the channels that are constant in the training data, by its scaler."""
        scaler = self.manifest.scaler
        return replace(self, selected=scaler.varying) if scaler and scaler.constant else self

    def open_partition(self, partition: Partition) -> pq.ParquetFile:
        """Open the parquet file of a partition.

        Raises:
            InputError: The file is absent or damaged, or has other columns or rows than the manifest says.
        """
        location = self.location / partition.file
        file = open_parquet(location, _WRITE_AGAIN)
        found, listed = (
            [n for n in file.schema_arrow.names if n not in self.manifest.left_out],
            self._columns(self.manifest.channels),
        )
        if found != listed:
            name = next(iter({*found} ^ {*listed}), "in another order")
            raise InputError(f"{location.uri}: columns differ from those of the manifest ({name})", fix=_WRITE_AGAIN)
        if file.metadata.num_rows != partition.rows:
            raise _other_content(location, partition)
        return file

    def read(self, partition: Partition, channels: Sequence[str] | None = None) -> Frame:
        """Read one partition, with the channels of `channels` or those named.

        Raises:
            InputError: The file is absent or damaged, or it is not the one that the manifest describes.
        """
        location = self.location / partition.file
        with readable(location, _WRITE_AGAIN), self.open_partition(partition) as file:
            frame = self._frame(file.read(columns=self._columns(channels), use_threads=True), channels)
        check_content(location, partition, frame.timestamps)
        return frame

    def frames(self, channels: Sequence[str] | None = None) -> Iterator[Frame]:
        """Yield the rows of each partition, in order of time."""
        for partition in self.manifest.partitions:
            yield self.read(partition, channels)

    def load(self) -> Frame:
        """Read all rows into memory."""
        rows = self.manifest.rows
        timestamps = np.empty(rows, dtype=np.int64)
        values = np.empty((rows, len(self.channels)), dtype=np.float32)
        labels = np.empty(rows, dtype=np.int8) if self.manifest.labelled else None
        position = 0
        for frame in self.frames():
            rows_read = slice(position, position + len(frame))
            timestamps[rows_read], values[rows_read] = frame.timestamps, frame.values
            if labels is not None and frame.labels is not None:
                labels[rows_read] = frame.labels
            position += len(frame)
        return Frame(timestamps, values, labels)

    def _columns(self, channels: Sequence[str] | None) -> list[str]:
        label = [LABEL_COL] if self.manifest.labelled else []
        return [self.manifest.timestamp_col, *(self.channels if channels is None else channels), *label]

    def _frame(self, table: pa.Table, channels: Sequence[str] | None) -> Frame:
        names = self.channels if channels is None else channels
        return Frame(
            timestamps=timestamps_of(table.column(self.manifest.timestamp_col)),
            values=values_of(table, names),
            labels=to_numpy(table.column(LABEL_COL)) if self.manifest.labelled else None,
        )


def check_content(file: Location, partition: Partition, timestamps: Timestamps) -> None:
    """Check that a file is the one that a manifest describes: its rows, its first and its last timestamp.

    Raises:
        InputError: It is not.
    """
    found = (len(timestamps), *(int(timestamps[row]) for row in (0, -1) if len(timestamps)))
    if found != (partition.rows, partition.start, partition.end):
        raise _other_content(file, partition)


def _other_content(file: Location, partition: Partition) -> InputError:
    period = f"{partition.rows:,} rows from {to_iso(partition.start)} to {to_iso(partition.end)}"
    return InputError(f"{file.uri}: not the file that the manifest describes ({period})", fix=_WRITE_AGAIN)


def _contradiction(dataset: Dataset) -> str:
    """Return in what a manifest contradicts itself or the files in its folder, or ""."""
    manifest, location = dataset.manifest, dataset.location
    listed = [partition.file for partition in manifest.partitions]
    for name in (first_repeated((manifest.timestamp_col, *manifest.channels)), first_repeated(listed)):
        if name is not None:
            return f"{location.uri}: the manifest lists '{name}' twice"
    if not listed:
        return f"{location.uri}: the manifest lists no files"
    if not all(before.end < after.start for before, after in pairwise(manifest.partitions)):
        return f"{location.uri}: the files of the manifest overlap in time"
    names = {child.name for child in location.children()}
    if missing := next((name for name in listed if name not in names), ""):
        return f"{(location / missing).uri}: no such file, but the manifest lists it"
    # Files of other attempts may be left where the store does not allow their deletion.
    attempts = {_attempt(name) for name in listed}
    others = [name for name in sorted(names - {*listed}) if name.endswith(".parquet")]
    if other := next((name for name in others if _attempt(name) in {"", *attempts}), ""):
        return f"{(location / other).uri}: the manifest does not list this file"
    return ""


def _attempt(name: str) -> str:
    """Return the attempt that wrote a partition by the name of its file, or "" for another file."""
    found = PARTITION_FILE.fullmatch(name)
    return found[1] if found else ""


def timestamps_of(column: pa.ChunkedArray) -> Timestamps:
    """Return a timestamp column as nanoseconds since 1970-01-01 UTC, shape [rows]."""
    return np.asarray(to_numpy(column.cast(TIMESTAMP_TYPE).cast(pa.int64())), dtype=np.int64)


def values_of(table: pa.Table, channels: Sequence[str]) -> Float32Array:
    """Return channels as one array of shape [rows, channels]; nulls become NaN, true 1 and false 0."""
    values = np.empty((table.num_rows, len(channels)), dtype=np.float32)
    if not channels:
        return values
    position = 0
    with np.errstate(over="ignore"):  # doubles out of the range of float32 become infinite, and count as missing
        for batch in table.select(channels).to_batches(max_chunksize=_TRANSPOSED_ROWS):
            rows = values[position : position + batch.num_rows]
            columns = [to_numpy(_floats(column)) for column in batch.columns]
            np.stack(columns, axis=1, out=rows, casting="same_kind")
            position += batch.num_rows
    return values


def _floats(column: pa.Array) -> pa.Array:
    return column if pa.types.is_floating(column.type) else column.cast(pa.float32(), safe=False)


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
