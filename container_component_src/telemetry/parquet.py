"""Parquet files as tables, with an error for the user if a file is absent or damaged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from container_component_src.errors import InputError
from container_component_src.storage import Location

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class ParquetTable:
    """An open parquet file, whose parts are its row groups."""

    file: Location
    parquet: pq.ParquetFile
    fix: str  # what the user can do if a part is damaged

    def __enter__(self) -> "ParquetTable":
        return self

    def __exit__(self, *_: object) -> None:
        self.parquet.close()

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.parquet.schema_arrow

    @property
    def rows(self) -> int | None:
        """Number of rows."""
        return int(self.parquet.metadata.num_rows)

    @property
    def parts(self) -> int:
        """Number of row groups."""
        return int(self.parquet.num_row_groups)

    def read(self, columns: Sequence[str], parts: Sequence[int] | None = None) -> pa.Table:
        """Read columns of some parts, or of all.

        Raises:
            InputError: The file is damaged.
        """
        groups = list(range(self.parts) if parts is None else parts)
        with readable(self.file, self.fix):
            return self.parquet.read_row_groups(groups, columns=list(columns))

    def batches(
        self, rows: int, part: int | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one part, or all, with all columns or those named, at most so many rows at a time.

        Raises:
            InputError: The file is damaged.
        """
        with readable(self.file, self.fix):
            groups, names = None if part is None else [part], None if columns is None else list(columns)
            yield from self.parquet.iter_batches(batch_size=rows, row_groups=groups, columns=names)

    def ends(self, column: str, part: int | None = None) -> tuple[int, int] | None:
        """Return the least and the greatest value of a column of whole numbers or timestamps, in one part or in all.

        Returns:
            Numbers, or nanoseconds since 1970-01-01 UTC; None if the footer does not have them.
        """
        parts = range(self.parts) if part is None else [part]
        metadata = self.parquet.metadata
        position = [metadata.schema.column(index).path for index in range(metadata.num_columns)].index(column)
        found = [metadata.row_group(group).column(position).statistics for group in parts]
        if not all(statistics is not None and statistics.has_min_max for statistics in found):
            return None
        kind = self.schema.field(column).type
        if not pa.types.is_timestamp(kind):
            return min(int(item.min) for item in found), max(int(item.max) for item in found)
        unit = 10**9 // _PER_SECOND[kind.unit]
        return min(item.min_raw for item in found) * unit, max(item.max_raw for item in found) * unit


def open_parquet(file: Location, fix: str) -> pq.ParquetFile:
    """Open a parquet file; this reads its footer and no rows.

    Args:
        file: The file.
        fix: What the user can do if it is absent or damaged.

    Raises:
        InputError: The file is absent, a folder, not parquet or truncated.
    """
    check_is_file(file, fix)
    with readable(file, fix):
        system = LocalFileSystem() if file.is_local else PyFileSystem(_StoreHandler(file.fs))
        return pq.ParquetFile(file.path, filesystem=system, memory_map=file.is_local, pre_buffer=not file.is_local)


class _StoreHandler(FSSpecHandler):  # type: ignore[misc] # pyarrow has no types
    """Files of a store, without reading ahead: pyarrow knows what it needs, and requests neighbouring bytes at once."""

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self.fs.open(path, mode="rb", cache_type="none"), mode="r")


def check_is_file(file: Location, fix: str) -> None:
    """Check that a regular file exists.

    Args:
        file: The file.
        fix: What the user can do if it is absent.

    Raises:
        InputError: It is absent, a folder or a device.
    """
    if file.is_file():
        return
    if file.exists():
        raise InputError(
            f"{file.uri}: a folder or a device, where one file is expected",
            fix="name a folder that Spark or Dask wrote in [paths] archives, or write its rows to one file",
        )
    raise InputError(f"{file.uri}: no such file", fix=fix)


@contextmanager
def readable(file: Location, fix: str) -> Iterator[None]:
    """Convert the errors of pyarrow for damaged content while a parquet file is read.

    Raises:
        InputError: The content is damaged.
    """
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        # A damaged page is a plain OSError without a number; errors of a disk or of S3 have a number or a subclass.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise InputError(f"{file.uri}: not a parquet file, truncated or damaged ({error})", fix=fix) from error
