"""Splitting one archive into many files of a few row groups, which workers then process side by side."""

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

MAX_GROUP_ROWS = 65_536  # an archive may be one huge row group: pieces of this size keep every later step small


def split_archive(
    file_uri: str, target_uri: str, timestamp_col: str, rowgroup_limit: int = 0, rowgroups_per_file: int = 4
) -> Dataset:
    """Copy an archive, all columns as they are, into files of a few row groups each.

    Args:
        file_uri: The archive.
        target_uri: Folder of the files.
        timestamp_col: Name of the timestamp column.
        rowgroup_limit: Copy only so many row groups, from the first on; 0 copies all.
        rowgroups_per_file: Row groups in one file; one of more than 65,536 rows in the archive becomes several.

    Raises:
        InputError: The archive is not as `archive.open_archive` wants it, or its timestamps do not increase strictly.
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
    """The row groups, large ones in pieces."""
    for group in groups:
        yield from archive.iter_batches(batch_size=MAX_GROUP_ROWS, row_groups=[group])


def _checked(pieces: Iterator[pa.RecordBatch], source: Location, timestamp_col: str) -> Iterator[_Checked]:
    """The pieces that hold rows, their timestamps checked across all of them."""
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
    """Write the next file, a row group for each piece; None where no piece is left."""
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
