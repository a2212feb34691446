"""Partitioning of an archive: a few row groups each, which workers process in parallel.

The partitions of a parquet archive are a view: their manifest names its row groups. Other archives are copied into
parquet files, and so are those with large row groups, which cannot be divided in their place, or with very many.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.telemetry.archive import OpenArchive, checked_timestamps, log_left_out, open_archive
from container_component_src.telemetry.columns import EXCLUDED, check_numbers
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.dataset_writer import WRITE_OPTIONS, DatasetWriter
from container_component_src.telemetry.manifest import Partition
from container_component_src.telemetry.parquet import ParquetTable
from container_component_src.telemetry.tables import Table

MAX_GROUP_ROWS = 65_536  # an archive may be a single large row group; later steps read whole files into memory
FEW_GROUPS = 200  # a footer that describes no more of them is always read in no time
FOOTER_ROWS = 20  # copying so many rows takes as long as reading what a footer says of one row group


def split_archive(
    file_uri: str,
    target_uri: str,
    timestamp_col: str,
    rowgroup_limit: int = 0,
    rowgroups_per_file: int = 4,
    exclude: Sequence[str] = (),
    copy: bool = False,
) -> Dataset:
    """Divide an archive into partitions of a few row groups each.

    Args:
        file_uri: The archive.
        target_uri: Folder of the partitions.
        timestamp_col: Name of the timestamp column.
        rowgroup_limit: Number of row groups, or of the parts of a CSV file, to take from the first one; 0 takes all.
        rowgroups_per_file: Row groups in one partition; copied row groups of more than 65,536 rows are divided first.
        exclude: Names or patterns of columns that are not channels (see `columns.columns_of`).
        copy: Whether to copy the rows, with all columns but the excluded ones, rather than to name row groups.

    Raises:
        InputError: The archive is invalid (see `archive.open_archive`), or its timestamps do not increase strictly.
    """
    with open_archive(storage.resolve(file_uri), timestamp_col, exclude) as archive:
        left_out, uri = archive.columns.left_out, archive.file.uri
        check_numbers(uri, left_out)
        parts = range(min(rowgroup_limit, archive.table.parts) if rowgroup_limit else archive.table.parts)
        log_left_out(uri, left_out)
        with DatasetWriter(target_uri, timestamp_col, archive.channels) as target:
            notes, named = {"archive": uri, "row_groups": len(parts)}, {}
            if not copy and _can_be_named(archive.table, rowgroups_per_file):
                named = {"archive": uri, "fingerprint": archive.file.fingerprint()}
                _name_groups(archive, parts, rowgroups_per_file, target)
            else:
                _copy(archive, parts, rowgroups_per_file, target)
            return target.commit(**named, left_out=left_out, notes=notes)


@dataclass(frozen=True)
class _Piece:
    """Rows of one part of an archive, at most `MAX_GROUP_ROWS`."""

    part: int
    rows: pa.RecordBatch
    start: int  # first timestamp
    end: int  # last timestamp


def _can_be_named(table: Table, per_partition: int) -> bool:
    """Return whether a file has row groups that workers can read in their place.

    They fit into a partition, and are not very many: for each partition, a worker reads what the footer says of all.
    """
    if not isinstance(table, ParquetTable):
        return False
    metadata, groups = table.parquet.metadata, table.parts
    if any(metadata.row_group(group).num_rows > per_partition * MAX_GROUP_ROWS for group in range(groups)):
        return False
    return groups <= FEW_GROUPS or metadata.num_rows / groups * per_partition >= groups * FOOTER_ROWS


def _pieces(archive: OpenArchive, parts: range, columns: Sequence[str]) -> Iterator[_Piece]:
    """Yield rows after checking that timestamps increase across all of them."""
    column = archive.timestamp_col
    where = f"{archive.file.uri}: column '{column}'"
    first_row, previous = 0, None
    for part in parts:
        for rows in archive.table.batches(MAX_GROUP_ROWS, part, columns):
            times = pa.chunked_array([rows.column(column)])
            timestamps = checked_timestamps(times, where, first_row, previous)
            if len(timestamps):
                first_row, previous = first_row + len(timestamps), int(timestamps[-1])
                yield _Piece(part, rows, int(timestamps[0]), previous)


def _name_groups(archive: OpenArchive, parts: range, per_partition: int, target: DatasetWriter) -> None:
    """Add partitions of whole row groups, with as many rows as copies would have; this reads only timestamps."""
    together: list[_Piece] = []

    def add() -> None:
        if not together:
            return
        rows = sum(piece.rows.num_rows for piece in together)
        first, last = together[0], together[-1]
        ranges = ((first.part, last.part + 1),)
        target.add(Partition(file=archive.file.name, rows=rows, start=first.start, end=last.end, ranges=ranges))

    for _, group in groupby(_pieces(archive, parts, [archive.timestamp_col]), key=lambda piece: piece.part):
        pieces = list(group)
        if len(together) + len(pieces) > per_partition:
            add()
            together = []
        together += pieces
    add()


def _copy(archive: OpenArchive, parts: range, per_partition: int, target: DatasetWriter) -> None:
    """Write partitions with all columns but those that a later step would take for channels again."""
    schema, left_out = archive.table.schema, archive.columns.left_out
    kept = pa.schema([field for field in schema if left_out.get(field.name) != EXCLUDED], schema.metadata)
    pieces = _pieces(archive, parts, kept.names)
    for first in pieces:
        file = target.next_file()
        rows, end = 0, 0
        with file.open_output() as output, pq.ParquetWriter(output, kept, **WRITE_OPTIONS) as writer:
            for piece in chain([first], islice(pieces, per_partition - 1)):
                writer.write_batch(piece.rows)
                rows, end = rows + piece.rows.num_rows, piece.end
        target.add(Partition(file=file.name, rows=rows, start=first.start, end=end))
