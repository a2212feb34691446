"""Partitioning of an archive into files of a few row groups, which workers process in parallel."""

from collections.abc import Iterator
from itertools import chain, islice

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.storage import Location
from container_component_src.telemetry.archive import DAMAGED, checked_timestamps, float_channels, open_archive
from container_component_src.telemetry.dataset import Dataset, Partition
from container_component_src.telemetry.dataset_writer import WRITE_OPTIONS, DatasetWriter
from container_component_src.telemetry.parquet import readable

MAX_GROUP_ROWS = 65_536  # an archive may be a single large row group; later steps read whole files into memory


def split_archive(
    file_uri: str, target_uri: str, timestamp_col: str, rowgroup_limit: int = 0, rowgroups_per_file: int = 4
) -> Dataset:
    """Copy an archive with all its columns into files of a few row groups each.

    Args:
        file_uri: The archive.
        target_uri: Folder of the files.
        timestamp_col: Name of the timestamp column.
        rowgroup_limit: Number of row groups to copy, from the first one; 0 copies all.
        rowgroups_per_file: Row groups in one file; row groups of more than 65,536 rows are divided first.

    Raises:
        InputError: The archive is invalid (see `archive.open_archive`), or its timestamps do not increase strictly.
    """
    source = storage.resolve(file_uri)
    with open_archive(source, timestamp_col) as archive:
        schema = archive.schema_arrow
        groups = range(min(rowgroup_limit, archive.num_row_groups) if rowgroup_limit else archive.num_row_groups)
        channels = float_channels(schema, timestamp_col)
        with DatasetWriter(target_uri, timestamp_col, channels) as target:
            checked = _checked(_pieces(archive, groups), source, timestamp_col)
            while partition := _write(target, schema, channels, islice(checked, rowgroups_per_file)):
                target.add(partition)
            return target.commit(notes={"archive": source.uri, "row_groups": len(groups)})


_Checked = tuple[pa.RecordBatch, int, int]  # a batch with its first and last timestamp


def _pieces(archive: pq.ParquetFile, groups: range) -> Iterator[pa.RecordBatch]:
    """Yield the row groups, large ones in pieces."""
    for group in groups:
        yield from archive.iter_batches(batch_size=MAX_GROUP_ROWS, row_groups=[group])


def _checked(pieces: Iterator[pa.RecordBatch], source: Location, timestamp_col: str) -> Iterator[_Checked]:
    """Yield the pieces that have rows after checking that timestamps increase across all of them."""
    where = f"{source.uri}: column '{timestamp_col}'"
    first_row, previous = 0, None
    with readable(source, DAMAGED):
        for piece in pieces:
            timestamps = checked_timestamps(pa.chunked_array([piece.column(timestamp_col)]), where, first_row, previous)
            if len(timestamps):
                first_row, previous = first_row + len(timestamps), int(timestamps[-1])
                yield piece, int(timestamps[0]), previous


def _write(
    target: DatasetWriter, schema: pa.Schema, channels: tuple[str, ...], pieces: Iterator[_Checked]
) -> Partition | None:
    """Write the next file with a row group for each piece; return None if no piece is left."""
    first = next(pieces, None)
    if first is None:
        return None
    file = target.next_file()
    options = {**WRITE_OPTIONS, "use_dictionary": [name for name in schema.names if name not in channels]}
    rows, end = 0, 0
    with file.open_output() as output, pq.ParquetWriter(output, schema, **options) as writer:
        for piece, _, last in chain([first], pieces):
            writer.write_batch(piece)
            rows, end = rows + piece.num_rows, last
    return Partition(file=file.name, rows=rows, start=first[1], end=end)
