"""Writing a dataset: partitions under names of their own, and a manifest as the last file.

Every attempt to write a dataset has file names of its own, and the manifest names those that count: what an earlier
attempt left in the folder is never read, whether or not the store lets it be deleted.
"""

import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.errors import InputError, PipelineError
from container_component_src.storage import Location
from container_component_src.telemetry.dataset import (
    LABEL_COL,
    MANIFEST_NAME,
    TIMESTAMP_TYPE,
    Dataset,
    Frame,
    Manifest,
    Partition,
    to_iso,
)

# Float telemetry hardly repeats: dictionaries cost time and save nothing.
WRITE_OPTIONS: Mapping[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": False}
# Of any attempt, whole or not.
_OWN_FILE = re.compile(rf"(part-[0-9a-f]{{8}}-\d{{5,}}\.parquet|{re.escape(MANIFEST_NAME)})(\.\w+\.tmp)?")

logger = logging.getLogger(__name__)


def write_partition(file: Location, timestamp_col: str, channels: Sequence[str], frame: Frame) -> Partition:
    """Write one partition of at least one row; callable from several processes at once for different files."""
    columns: dict[str, Any] = {timestamp_col: pa.array(frame.timestamps).cast(TIMESTAMP_TYPE)}
    by_channel = np.ascontiguousarray(frame.values.T)  # one transposition instead of a strided read per column
    columns |= {name: pa.array(by_channel[position]) for position, name in enumerate(channels)}
    if frame.labels is not None:
        columns[LABEL_COL] = pa.array(frame.labels)
    table = pa.table(columns)
    schema = table.schema.with_metadata(_pandas_metadata(table.schema, timestamp_col))
    with file.open_output() as output:
        pq.write_table(table.cast(schema), output, **WRITE_OPTIONS)
    return Partition(file=file.name, rows=len(frame), start=int(frame.timestamps[0]), end=int(frame.timestamps[-1]))


def commit(location: Location, manifest: Manifest) -> Dataset:
    """Make a dataset whole: write its manifest.

    Raises:
        InputError: The dataset has no rows, or its partitions overlap in time.
    """
    if not manifest.partitions:
        raise InputError(f"{location.uri}: no rows are left to write; widen what the step selects")
    for before, after in zip(manifest.partitions, manifest.partitions[1:], strict=False):
        if after.start <= before.end:
            raise InputError(
                f"{location.uri}: {after.file} starts at {to_iso(after.start)}, not after {before.file}, which ends at "
                f"{to_iso(before.end)}; remove the archive that repeats this time"
            )
    (location / MANIFEST_NAME).write_bytes(manifest.model_dump_json(indent=1).encode())
    return Dataset(location, manifest)


class DatasetWriter:
    """Writes a dataset one partition after the other; an exception inside the `with` block removes what was written.

    Nothing depends on the store letting anything be deleted, see the top of this module.

    Args:
        uri: Folder of the dataset.
        timestamp_col: Name of the timestamp column.
        channels: Names in the order of the columns.
        endpoint: S3 endpoint that wins over the environment's, or "".
        sources: Folders that the step reads, or writes besides.

    Raises:
        InputError: The folder has another use, see `prepare_output`.
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
        self._partitions: list[Partition] = []
        self._labelled = False
        self._committed = False

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        try:
            with storage.patience(storage.QUICK_SECONDS):  # whatever the step waited for, it does not wait for this
                self._discard(storage.resolve(self.location.uri, self._endpoint))
        except (PipelineError, OSError) as error:
            logger.info("%s: an unfinished dataset stays there: %s", self.location.uri, error)

    def _discard(self, location: Location) -> None:
        """Remove the files of this attempt; what `prepare_output` has left of a manifest names nothing any more."""
        if self._committed:
            _invalidate(location)
        _remove([child for child in location.children() if self._attempt in child.name or child.name == MANIFEST_NAME])
        if location.is_local and not location.children():
            location.remove()

    def write(self, frame: Frame) -> None:
        """Append a partition; nothing is written for a frame without rows."""
        if len(frame):
            self._labelled = frame.labels is not None
            self.add(write_partition(self.next_file(), self._timestamp_col, self._channels, frame))

    def file(self, index: int) -> Location:
        """Where the file of a partition goes, for those who write it themselves."""
        return self.location / f"part-{self._attempt}-{index:05d}.parquet"

    def next_file(self) -> Location:
        """Where the file of the next partition goes."""
        return self.file(len(self._partitions))

    def add(self, partition: Partition) -> None:
        """Append a partition whose file has been written already."""
        self._partitions.append(partition)

    def commit(self, **facts: Any) -> Dataset:
        """Finish; `facts` are further fields of the manifest."""
        manifest = Manifest(
            timestamp_col=self._timestamp_col,
            channels=self._channels,
            partitions=tuple(self._partitions),
            labelled=self._labelled,
            **facts,
        )
        dataset = commit(self.location, manifest)
        self._committed = True
        return dataset


def prepare_output(uri: str, endpoint: str = "", sources: Sequence[Location] = ()) -> Location:
    """Empty the folder of an output, as far as the store lets its files be deleted.

    Args:
        uri: The folder.
        endpoint: S3 endpoint that wins over the environment's, or "".
        sources: Folders that the step reads, or writes besides; none of them can be the output.

    Raises:
        InputError: It is one of the sources or a file, or the folder holds something that is not a dataset.
    """
    location = storage.resolve(uri, endpoint)
    if location in sources:
        raise InputError(f"{uri}: the step has another use for this folder; name an empty or new folder as output")
    if location.is_file():
        raise InputError(f"{uri}: a file, where a folder is to be written; name an empty or new folder as output")
    found = location.children()
    foreign = [child.name for child in found if not _OWN_FILE.fullmatch(child.name)]
    if foreign:
        raise InputError(f"{uri}: the folder holds other files ({foreign[0]}); name an empty or new folder as output")
    if any(child.name == MANIFEST_NAME for child in found):
        _invalidate(location)
    _remove(found)
    return location


def _invalidate(location: Location) -> None:
    """Make a dataset unfinished before its files go, and also where none of them can go."""
    (location / MANIFEST_NAME).write_bytes(b"")


def _remove(files: Sequence[Location]) -> None:
    """Remove files that no manifest names; they are only in the way, so a store may keep them."""
    try:
        storage.remove_all(files)
    except (PipelineError, OSError) as error:
        logger.info("%d files that no dataset needs stay: they could not be deleted", len(files))
        logger.debug("the first of them: %s", error)


def _pandas_metadata(schema: pa.Schema, timestamp_col: str) -> Mapping[bytes, bytes]:
    """Schema metadata that lets `pandas.read_parquet` return the timestamp as the index."""
    empty = schema.empty_table().to_pandas().set_index(timestamp_col)
    return dict(pa.Schema.from_pandas(empty).metadata)
