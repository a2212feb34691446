"""Partitioning of an archive into files of a few row groups, which workers process in parallel."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.telemetry.archive import OpenArchive, checked_timestamps, log_left_out, open_archive
from container_component_src.telemetry.columns import EXCLUDED, check_numbers
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.dataset_writer import WRITE_OPTIONS, DatasetWriter
from container_component_src.telemetry.manifest import Partition

MAX_GROUP_ROWS = 65_536  # an archive may be a single large row group; later steps read whole files into memory


def split_archive(
    file_uri: str,
    target_uri: str,
    timestamp_col: str,
    rowgroup_limit: int = 0,
    rowgroups_per_file: int = 4,
    exclude: Sequence[str] = (),
) -> Dataset:
    """Copy an archive with all its columns but those to exclude into files of a few row groups each.

    Args:
        file_uri: The archive.
        target_uri: Folder of the files.
        timestamp_col: Name of the timestamp column.
        rowgroup_limit: Number of row groups, or of the parts of a CSV file, to copy from the first one; 0 copies all.
        rowgroups_per_file: Row groups in one file; row groups of more than 65,536 rows are divided first.
        exclude: Names or patterns of columns that are not channels (see `columns.columns_of`).

    Raises:
        InputError: The archive is invalid (see `archive.open_archive`), or its timestamps do not increase strictly.
    """
    with open_archive(storage.resolve(file_uri), timestamp_col, exclude) as archive:
        check_numbers(archive.file.uri, archive.columns.left_out)
        parts = range(min(rowgroup_limit, archive.table.parts) if rowgroup_limit else archive.table.parts)
        log_left_out(archive.file.uri, archive.columns.left_out)
        with DatasetWriter(target_uri, timestamp_col, archive.channels) as target:
            schema = _copied(archive)
            checked = _checked(archive, parts, schema.names)
            while partition := _write(target, schema, archive.channels, islice(checked, rowgroups_per_file)):
                target.add(partition)
            notes = {"archive": archive.file.uri, "row_groups": len(parts)}
            return target.commit(left_out=archive.columns.left_out, notes=notes)


_Checked = tuple[pa.RecordBatch, int, int]  # a batch with its first and last timestamp


def _copied(archive: OpenArchive) -> pa.Schema:
    """Return the columns that are copied: without those that a later step would take for channels again."""
    schema, left_out = archive.table.schema, archive.columns.left_out
    return pa.schema([field for field in schema if left_out.get(field.name) != EXCLUDED], schema.metadata)


def _checked(archive: OpenArchive, parts: range, columns: Sequence[str]) -> Iterator[_Checked]:
    """Yield parts, large ones in pieces, after checking that timestamps increase across all of them."""
    column = archive.timestamp_col
    first_row, previous = 0, None
    for piece in chain.from_iterable(archive.table.batches(MAX_GROUP_ROWS, part, columns) for part in parts):
        where, times = f"{archive.file.uri}: column '{column}'", pa.chunked_array([piece.column(column)])
        timestamps = checked_timestamps(times, where, first_row, previous)
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
    rows, end = 0, 0
    with file.open_output() as output, pq.ParquetWriter(output, schema, **WRITE_OPTIONS) as writer:
        for piece, _, last in chain([first], pieces):
            writer.write_batch(piece)
            rows, end = rows + piece.num_rows, last
    return Partition(file=file.name, rows=rows, start=first[1], end=end)
