"""Splitting one archive into many files of a few row groups, which workers then process side by side."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.storage import Location
from container_component_src.telemetry.archive import DAMAGED, checked_timestamps, float_channels, open_archive
from container_component_src.telemetry.dataset import WRITE_OPTIONS, Dataset, DatasetWriter, Partition
from container_component_src.telemetry.parquet import readable

MAX_BATCH_ROWS = 65_536  # an archive may be one huge row group; it is copied in pieces of this size


def split_archive(
    file_uri: str, target_uri: str, timestamp_col: str, rowgroup_limit: int = 0, rowgroups_per_file: int = 4
) -> Dataset:
    """Copy an archive, all columns as they are, into files of a few row groups each.

    Args:
        file_uri: The archive.
        target_uri: Folder of the files; emptied first.
        timestamp_col: Name of the timestamp column.
        rowgroup_limit: Copy only so many row groups, from the first on; 0 copies all.
        rowgroups_per_file: Row groups of the archive in one file.

    Raises:
        InputError: The archive is not as `archive.open_archive` wants it, or its timestamps do not increase strictly.
    """
    source = storage.resolve(file_uri)
    with open_archive(source, timestamp_col) as archive:
        schema = archive.schema_arrow
        groups = range(min(rowgroup_limit, archive.num_row_groups) if rowgroup_limit else archive.num_row_groups)
        channels = float_channels(schema, timestamp_col)
        with DatasetWriter(target_uri, timestamp_col, channels) as target:
            first_row, previous = 0, None
            for index, first_group in enumerate(groups[::rowgroups_per_file]):
                chosen = list(groups[first_group : first_group + rowgroups_per_file])
                batches = archive.iter_batches(batch_size=MAX_BATCH_ROWS, row_groups=chosen)
                checked = _checked(batches, source, timestamp_col, first_row, previous)
                partition = _write(target, index, schema, channels, checked)
                if partition is not None:
                    target.add(partition)
                    first_row, previous = first_row + partition.rows, partition.end
            return target.commit(notes={"archive": source.uri, "row_groups": len(groups)})


_Checked = tuple[pa.RecordBatch, int, int]  # a batch with its first and last timestamp


def _checked(
    batches: Iterator[pa.RecordBatch], source: Location, timestamp_col: str, first_row: int, previous: int | None
) -> Iterator[_Checked]:
    where = f"{source.uri}: column '{timestamp_col}'"
    with readable(source, DAMAGED):
        for batch in batches:
            timestamps = checked_timestamps(pa.chunked_array([batch.column(timestamp_col)]), where, first_row, previous)
            if len(timestamps):
                first_row, previous = first_row + len(timestamps), int(timestamps[-1])
                yield batch, int(timestamps[0]), previous


def _write(
    target: DatasetWriter, index: int, schema: pa.Schema, channels: tuple[str, ...], batches: Iterator[_Checked]
) -> Partition | None:
    """Write one file; None where its row groups hold no rows."""
    file = target.location / f"part-{index:05d}.parquet"
    rows, start, end = 0, None, 0
    with file.open_output() as output:
        options = {**WRITE_OPTIONS, "use_dictionary": [name for name in schema.names if name not in channels]}
        with pq.ParquetWriter(output, schema, **options) as writer:
            for batch, first, last in batches:
                writer.write_batch(batch)
                rows, start, end = rows + batch.num_rows, first if start is None else start, last
    if start is None:
        file.remove()
        return None
    return Partition(file=file.name, rows=rows, start=start, end=end)
