"""Writing of datasets: partitions first, and a manifest as the last file.

Every attempt to write a dataset uses new file names, and the manifest lists the files of the dataset. So the files of
an earlier attempt are never read, even if the store does not allow their deletion.
"""

import json
import logging
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.arrays import Timestamps
from container_component_src.errors import InputError, PipelineError
from container_component_src.storage import Location
from container_component_src.telemetry.arrow import TIMESTAMP_TYPE, to_arrow
from container_component_src.telemetry.dataset import LABEL_COL, Dataset, Frame
from container_component_src.telemetry.manifest import PARTITION_FILE, Manifest, Partition, check_disjoint
from container_component_src.telemetry.views import MANIFEST_NAME, MAX_MANIFEST_BYTES

# Telemetry is quantized: dictionaries halve the files and the time of reading them, see docs/results.md. The limit, in
# bytes of distinct values of a column, keeps them from costing much where values do not repeat.
WRITE_OPTIONS: Mapping[str, Any] = {
    "compression": "lz4",
    "use_dictionary": True,
    "dictionary_pagesize_limit": 1 << 16,
    "write_statistics": False,
}
# Files of any attempt, finished or not.
_OWN_FILE = re.compile(rf"({PARTITION_FILE.pattern}|{re.escape(MANIFEST_NAME)})(\.\w+\.tmp)?")
_OUTPUT_FIX = "name an empty or new folder as output"

logger = logging.getLogger(__name__)


def write_partition(
    file: Location, timestamp_col: str, timestamps: Timestamps, columns: Mapping[str, pa.Array | pa.ChunkedArray]
) -> Partition:
    """Write one partition; several threads and processes may write different files at the same time.

    Args:
        file: Where.
        timestamp_col: Name of the timestamp column.
        timestamps: Shape [rows], at least one.
        columns: The channels and, in labelled datasets, the labels, [rows] each.
    """
    table = pa.table({timestamp_col: to_arrow(timestamps).view(TIMESTAMP_TYPE), **columns})
    table = table.replace_schema_metadata(_pandas_metadata(table.schema, timestamp_col))
    with file.open_output() as output:
        pq.write_table(table, output, **WRITE_OPTIONS)
    return Partition(file=file.name, rows=len(timestamps), start=int(timestamps[0]), end=int(timestamps[-1]))


def commit(location: Location, manifest: Manifest, source: Dataset | None = None) -> Dataset:
    """Write the manifest of a dataset, which makes it complete.

    Raises:
        InputError: The dataset has no rows, its partitions overlap in time, or no step could read the manifest.
    """
    if not manifest.partitions:
        raise InputError(f"{location.uri}: no rows are left to write", fix="select more rows in this step")
    check_disjoint(
        ((location / partition.file).uri, partition.start, partition.end) for partition in manifest.partitions
    )
    content = manifest.model_dump_json(indent=1).encode()
    if len(content) > MAX_MANIFEST_BYTES:
        raise InputError(
            f"{location.uri}: a manifest of {len(content) >> 20:,} MiB, but steps read at most "
            f"{MAX_MANIFEST_BYTES >> 20}",
            fix="make the parameter block_hours larger, set split_storage to copy, or raise rowgroups_per_file",
        )
    (location / MANIFEST_NAME).write_bytes(content)
    return Dataset(location, manifest, source=source)


class DatasetWriter:
    """Writes a dataset partition by partition, and removes it if the `with` block raises.

    Correctness does not depend on permission to delete, see the module's docstring.

    Args:
        uri: Folder of the dataset.
        timestamp_col: Name of the timestamp column.
        channels: Channel names, in the order of the columns.
        endpoint: S3 endpoint that takes precedence over that of the environment, or "".
        sources: Other folders that the step reads or writes.

    Raises:
        InputError: The folder cannot be used, see `prepare_output`.
    """

    def __init__(
        self,
        uri: str,
        timestamp_col: str,
        channels: Sequence[str],
        endpoint: str = "",
        sources: Sequence[Location] = (),
    ) -> None:
        self.location = prepare_output(uri, endpoint, sources)
        self._attempt = uuid.uuid4().hex[:8]
        self._endpoint = endpoint
        self._timestamp_col = timestamp_col
        self._channels = tuple(channels)
        self._indices = count()
        self._partitions: list[Partition] = []
        self._labelled = False
        self._committed = False

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        try:
            with storage.patience(storage.QUICK_SECONDS):  # clean-up is not worth a longer wait
                self._discard(storage.resolve(self.location.uri, self._endpoint))
        except (PipelineError, OSError) as error:
            logger.info("%s: an unfinished dataset remains: %s", self.location.uri, error)

    def _discard(self, location: Location) -> None:
        """Remove the files of this attempt and the emptied manifest of an earlier one."""
        if self._committed:
            _invalidate(location)
        _remove([child for child in location.children() if self._attempt in child.name or child.name == MANIFEST_NAME])
        if location.is_local and not location.children():
            location.remove()

    def write(self, frame: Frame, file: Location | None = None) -> None:
        """Add a partition, unless the frame has no rows.

        Args:
            frame: The rows.
            file: Where to write them, from `next_file`; None: there.
        """
        if len(frame):
            self._labelled = frame.labels is not None
            columns = _columns(self._channels, frame)
            self.add(write_partition(file or self.next_file(), self._timestamp_col, frame.timestamps, columns))

    def file(self, index: int) -> Location:
        """Return the file of the partition at an index, for callers that write it themselves."""
        return self.location / f"part-{self._attempt}-{index:05d}.parquet"

    def next_file(self) -> Location:
        """Take the file of the next partition."""
        return self.file(next(self._indices))

    def add(self, partition: Partition) -> None:
        """Add a partition whose file is already written."""
        self._partitions.append(partition)

    def commit(self, **fields: Any) -> Dataset:
        """Write the manifest and return the dataset.

        Args:
            fields: Further fields of the manifest.

        Raises:
            InputError: The dataset has no rows, or its partitions overlap in time.
        """
        manifest = Manifest(
            timestamp_col=self._timestamp_col,
            channels=self._channels,
            partitions=tuple(sorted(self._partitions, key=lambda partition: partition.start)),
            labelled=self._labelled,
            **fields,
        )
        dataset = commit(self.location, manifest)
        self._committed = True
        return dataset

    def commit_view(self, view: Dataset) -> Dataset:
        """Write the manifest of a view in the place of files, and return the view."""
        dataset = commit(self.location, view.manifest, view.source)
        self._committed = True
        return dataset


@contextmanager
def writing(
    targets: Mapping[str, str], timestamp_cols: Mapping[str, str], channels: Sequence[str], sources: Sequence[Location]
) -> Iterator[dict[str, DatasetWriter]]:
    """Write several datasets at the same time, and remove all of them if the `with` block raises.

    Args:
        targets: Folders of the datasets, by name.
        timestamp_cols: Names of the timestamp columns, by the same names.
        channels: Channel names, in the order of the columns.
        sources: Folders that the step reads.

    Yields:
        A writer for each dataset, by name.

    Raises:
        InputError: A folder cannot be used, see `prepare_output`, or two datasets have the same.
    """
    with ExitStack() as stack:
        writers: dict[str, DatasetWriter] = {}
        for name, uri in targets.items():
            taken = [*sources, *(writer.location for writer in writers.values())]
            writers[name] = stack.enter_context(DatasetWriter(uri, timestamp_cols[name], channels, sources=taken))
        yield writers


def prepare_output(uri: str, endpoint: str = "", sources: Sequence[Location] = ()) -> Location:
    """Empty the folder of an output as far as the store allows deletion, and return it.

    Args:
        uri: The folder.
        endpoint: S3 endpoint that takes precedence over that of the environment, or "".
        sources: Other folders that the step reads or writes.

    Raises:
        InputError: The folder is one of the sources, is a file, or has files that do not belong to a dataset.
    """
    location = storage.resolve(uri, endpoint)
    if location in sources:
        raise InputError(f"{uri}: the step uses this folder already", fix=_OUTPUT_FIX)
    location.check_output(folder=True)
    if location.is_file():
        raise InputError(f"{uri}: the output is a folder, but this is a file", fix=_OUTPUT_FIX)
    found = location.children()
    foreign = [child.name for child in found if not _OWN_FILE.fullmatch(child.name)]
    if foreign:
        raise InputError(f"{uri}: the folder has other files ({foreign[0]})", fix=_OUTPUT_FIX)
    if any(child.name == MANIFEST_NAME for child in found):
        _invalidate(location)
    _remove(found)
    return location


def _columns(channels: Sequence[str], frame: Frame) -> dict[str, pa.Array]:
    by_channel = np.ascontiguousarray(frame.values.T)  # one transposition instead of one strided read per column
    columns = {name: to_arrow(by_channel[position]) for position, name in enumerate(channels)}
    return columns if frame.labels is None else columns | {LABEL_COL: to_arrow(frame.labels)}


def _invalidate(location: Location) -> None:
    """Mark a dataset as unfinished before its files are removed, in case that fails."""
    (location / MANIFEST_NAME).write_bytes(b"")


def _remove(files: Sequence[Location]) -> None:
    """Remove files that no manifest lists; if the store does not allow that, they remain and are not read."""
    try:
        storage.remove_all(files)
    except (PipelineError, OSError) as error:
        logger.info("%d files that no dataset needs could not be deleted and remain", len(files))
        logger.debug("the first of them: %s", error)


def _pandas_metadata(schema: pa.Schema, timestamp_col: str) -> Mapping[bytes, bytes]:
    """Return schema metadata with which `pandas.read_parquet` makes the timestamp the index."""
    columns = [
        {"name": name, "field_name": name, "pandas_type": str(kind), "numpy_type": str(kind), "metadata": None}
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    time = {"pandas_type": "datetimetz", "numpy_type": "datetime64[ns]", "metadata": {"timezone": "UTC"}}
    columns[schema.names.index(timestamp_col)] |= time
    stored = {"index_columns": [timestamp_col], "column_indexes": [], "columns": columns}
    return {b"pandas": json.dumps(stored).encode()}
