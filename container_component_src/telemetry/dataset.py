"""The dataset artifact: a folder of parquet partitions sorted by time, and a manifest that is written last.

Every partition has the timestamp (UTC, nanoseconds), the channels as float32 (NaN for missing values) and, in labelled
datasets, the label column `Anomaly` (0 or 1). Datasets are read partition by partition, so memory does not grow with
the number of rows. A folder without a manifest, or with an empty one, is an unfinished dataset, which is an error.

A view is a dataset without files of its own: its manifest names ranges of rows of another dataset.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from container_component_src import storage
from container_component_src.arrays import BoolArray, Float32Array, Int8Array, Timestamps
from container_component_src.data_root import IF_DELETED
from container_component_src.errors import InputError
from container_component_src.storage import Location
from container_component_src.telemetry.arrow import Order, positions_of, timestamps_of, to_arrow, to_numpy, values_of
from container_component_src.telemetry.events import inside_any
from container_component_src.telemetry.manifest import Manifest, Partition, contradiction
from container_component_src.telemetry.parquet import open_parquet, readable
from container_component_src.telemetry.timestamps import to_iso
from container_component_src.telemetry.views import MANIFEST_NAME, MAX_MANIFEST_BYTES
from container_component_src.values import describe

LABEL_COL = "Anomaly"
WRITE_AGAIN = f"run the step that writes the dataset again, {IF_DELETED}"


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
    source: "Dataset | None" = None  # with the files of a view

    @classmethod
    def open(cls, uri: str, endpoint: str = "") -> "Dataset":
        """Open a dataset by its URI.

        Raises:
            InputError: There is no dataset, it is unfinished, or its manifest is damaged or does not list its files.
        """
        return cls._open(uri, endpoint)

    @classmethod
    def _open(cls, uri: str, endpoint: str, views: tuple[str, ...] = ()) -> "Dataset":
        """Open a dataset of which the last of these is a view, and each of them a view of the next."""
        location = storage.resolve(uri, endpoint)
        if location.uri in views:
            raise InputError(f"{views[-1]}: damaged manifest (the view refers to itself)", fix=WRITE_AGAIN)
        described = _manifest_at(location, f"{views[-1]} is a view of {uri}" if views else uri)
        source = cls._open(described.source, endpoint, (*views, location.uri)) if described.source else None
        if problem := contradiction(described, location, source.manifest if source else None):
            raise InputError(problem, fix=WRITE_AGAIN)
        return cls(location, described, source=source)

    @property
    def folders(self) -> tuple[Location, ...]:
        """The folder of the dataset and, for a view, those of the datasets that it needs."""
        return (self.location, *(self.source.folders if self.source else ()))

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, in the order of the columns of `Frame.values`."""
        return self.manifest.channels if self.selected is None else self.selected

    def varying(self) -> "Dataset":
        """Return the dataset without the channels that are constant in the training data, by its scaler."""
        scaler = self.manifest.scaler
        return replace(self, selected=scaler.varying) if scaler and scaler.constant else self

    def view(self, parts: Sequence[Partition], notes: dict[str, Any], **fields: Any) -> "Dataset":
        """Return a view of rows of this dataset.

        Args:
            parts: The rows, by file.
            notes: How the view was made.
            fields: Further fields of its manifest.
        """
        manifest = Manifest(
            timestamp_col=self.manifest.timestamp_col,
            channels=self.manifest.channels,
            partitions=tuple(parts),
            source=self.location.uri,
            notes=notes,
            **fields,
        )
        return Dataset(self.location, manifest, source=self)

    def open_partition(self, partition: Partition) -> pq.ParquetFile:
        """Open the parquet file of a partition.

        Raises:
            InputError: The file is absent or damaged, or has other columns or rows than the manifest says, or only the
                preprocessing reads it.
        """
        if archive := self.manifest.archive:
            raise InputError(
                f"{self.location.uri}: not a dataset, but partitions of {archive}",
                fix="give the dataset that run_dask_preprocessing makes of them, or split with split_storage=copy",
            )
        location = self.location / partition.file
        file = open_parquet(location, WRITE_AGAIN)
        found, listed = (
            [n for n in file.schema_arrow.names if n not in self.manifest.left_out],
            self._columns(self.manifest.channels),
        )
        if found != listed:
            name = next(iter({*found} ^ {*listed}), "in another order")
            raise InputError(f"{location.uri}: columns differ from those of the manifest ({name})", fix=WRITE_AGAIN)
        if file.metadata.num_rows != partition.rows:
            raise _other_content(location, partition)
        return file

    def read(self, partition: Partition, channels: Sequence[str] | None = None, order: Order = "C") -> Frame:
        """Read one partition, with the channels of `channels` or those named, in this order in memory.

        Raises:
            InputError: The file is absent or damaged, or it is not the one that the manifest describes.
        """
        names = self.channels if channels is None else channels
        return self._frame(self._holder._table(partition.file, names), partition, names, order)

    def frames(self, channels: Sequence[str] | None = None, order: Order = "C") -> Iterator[Frame]:
        """Yield the rows of each partition, in order of time."""
        for partition in self.manifest.partitions:
            yield self.read(partition, channels, order)

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

    @property
    def _holder(self) -> "Dataset":
        """The dataset of which this is a view, or itself."""
        return self.source or self

    def _columns(self, channels: Sequence[str]) -> list[str]:
        return [self.manifest.timestamp_col, *channels, *([LABEL_COL] if self.manifest.labelled else [])]

    def _table(self, file: str, channels: Sequence[str]) -> pa.Table:
        """Read the rows of a file with the timestamps, these channels and, if the files have it, the label column."""
        partition = self._by_file[file]
        if self.source:
            table = self.source._table(file, channels)
            return table.take(to_arrow(positions_of(partition.ranges, table.num_rows)))
        location = self.location / file
        with readable(location, WRITE_AGAIN), self.open_partition(partition) as opened:
            return opened.read(columns=self._columns(channels), use_threads=True)

    def _frame(self, table: pa.Table, partition: Partition, channels: Sequence[str], order: Order) -> Frame:
        """Return the rows of a partition from those that the dataset, or the one of which it is a view, has."""
        rows = positions_of(partition.ranges, table.num_rows) if self.source else None
        timestamps = timestamps_of(table.column(self.manifest.timestamp_col))
        timestamps = timestamps if rows is None else timestamps[rows]
        check_content(self.folders[-1] / partition.file, partition, timestamps)
        return Frame(timestamps, values_of(table, channels, order, rows), self._labels(table, timestamps))

    def _labels(self, table: pa.Table, timestamps: Timestamps) -> Int8Array | None:
        if not self.manifest.labelled:
            return None
        if self.source:
            return inside_any(timestamps, self.manifest.events).astype(np.int8)
        return to_numpy(table.column(LABEL_COL))

    @cached_property
    def _by_file(self) -> dict[str, Partition]:
        return {partition.file: partition for partition in self.manifest.partitions}


def read_together(datasets: Mapping[str, Dataset], channels: Sequence[str]) -> Iterator[tuple[str, Frame]]:
    """Yield the rows of several datasets with their names, in order of time for each, and channel by channel in memory.

    A file that several views share is read once.

    Args:
        datasets: The datasets, by name.
        channels: The channels to read.
    """
    parts = [(name, partition) for name, dataset in datasets.items() for partition in dataset.manifest.partitions]
    sharing: dict[tuple[str, str], list[tuple[str, Partition]]] = {}
    for name, partition in sorted(parts, key=lambda part: part[1].start):
        sharing.setdefault((datasets[name]._holder.location.uri, partition.file), []).append((name, partition))
    for users in sharing.values():
        name, partition = users[0]
        table = datasets[name]._holder._table(partition.file, channels)
        for name, partition in users:
            yield name, datasets[name]._frame(table, partition, channels, "F")
        del table  # before the next one is read


def _manifest_at(location: Location, named: str) -> Manifest:
    """Read the manifest of a dataset that errors call by a name."""
    manifest = location / MANIFEST_NAME
    content = manifest.read_bytes(MAX_MANIFEST_BYTES) if manifest.exists() else b""
    if not content:
        state = "unfinished dataset" if location.exists() else "no such dataset"
        state = "a file, not a dataset" if location.is_file() else state
        raise InputError(
            f"{named}: {state} (no {MANIFEST_NAME}, or an empty one)",
            fix=f"run the step that writes it to its end, {IF_DELETED}",
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{manifest.uri}: damaged manifest ({describe(error)})", fix=WRITE_AGAIN) from error


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
    return InputError(f"{file.uri}: not the file that the manifest describes ({period})", fix=WRITE_AGAIN)
