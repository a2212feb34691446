"""Files of telemetry as tables that are read in parts, whatever their format."""

from collections.abc import Iterator, Sequence
from typing import Protocol, Self

import pyarrow as pa

from container_component_src.storage import Location
from container_component_src.telemetry.columns import check_names
from container_component_src.telemetry.csv_table import CsvTable
from container_component_src.telemetry.parquet import ParquetTable, check_is_file, open_parquet

DAMAGED = "check the path, or fetch the file again"  # the fix for a file that cannot be read


class Table(Protocol):
    """An open file; use it in a `with` statement."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    @property
    def rows(self) -> int | None:
        """Number of rows; None if it is above 0 and only known after reading all of them."""

    @property
    def parts(self) -> int:
        """Number of parts that can be read one by one."""

    def read(self, columns: Sequence[str], parts: Sequence[int] | None = None) -> pa.Table:
        """Read columns of some parts, or of all."""

    def batches(
        self, rows: int, part: int | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one part, or all, with all columns or those named, at most so many rows at a time."""

    def ends(self, column: str, part: int | None = None) -> tuple[int, int] | None:
        """Return the least and the greatest value of a column in one part or in all, if that is known without reading.

        Returns:
            Whole numbers; of a timestamp, nanoseconds since 1970-01-01 UTC.
        """


def open_table(file: Location, timestamp_col: str) -> Table:
    """Open a file of telemetry: CSV if its name says so, parquet otherwise.

    Raises:
        InputError: The file is absent or a folder, its format is another one, it is damaged, or two columns have the
            same name.
    """
    table: Table
    if file.name.lower().endswith(".csv"):
        check_is_file(file, DAMAGED)
        table = CsvTable(file.uri, file.open(), timestamp_col)
    else:
        table = ParquetTable(file, open_parquet(file, DAMAGED), DAMAGED)
    check_names(file.uri, table.schema.names)
    return table
