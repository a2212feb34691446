"""Files of answers, one row each: parquet, CSV or NDJSON, by the suffix of the name."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from container_component_src import storage
from container_component_src.serving.client.query import Answered
from container_component_src.telemetry.timestamps import to_iso


def write(answers: Iterator[Answered], target: str, seen: Callable[[Answered], None]) -> None:
    """Write answers to a file, which appears when it is complete.

    Args:
        answers: Result of `query.ask`.
        target: The file or its URI; its suffix is one of `ROW_SUFFIXES`.
        seen: Called with each batch.
    """
    with storage.resolve(target).open_output() as file:
        tables = (batch.table for batch in _each(answers, seen) if not batch.table.empty)
        match target.lower().rpartition(".")[2]:
            case "csv":
                _write_csv(file, tables)
            case "ndjson":
                for table in tables:
                    rows = zip(*_values(table), strict=True)
                    file.writelines(orjson.dumps(dict(zip(table, row, strict=True))) + b"\n" for row in rows)
            case _:
                _write_parquet(file, tables)


def _each(answers: Iterator[Answered], seen: Callable[[Answered], None]) -> Iterator[Answered]:
    for batch in answers:
        seen(batch)
        yield batch


def _write_parquet(file: IO[bytes], tables: Iterator[pd.DataFrame]) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for frame in tables:
            table = _with_types(pa.Table.from_pandas(frame, preserve_index=False))
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _with_types(table: pa.Table) -> pa.Table:
    """Return a table in which lists that are all empty are lists of texts, as those of other batches."""
    empty, texts = pa.list_(pa.null()), pa.list_(pa.string())
    fields = [field.with_type(texts) if field.type == empty else field for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def _write_csv(file: IO[bytes], tables: Iterator[pd.DataFrame]) -> None:
    """Write CSV with a header; lists are JSON."""
    for index, table in enumerate(tables):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not index:
            writer.writerow(table.columns)
        for row in zip(*_values(table), strict=True):
            writer.writerow(orjson.dumps(cell).decode() if isinstance(cell, list) else cell for cell in row)
        file.write(text.getvalue().encode())


def _values(table: pd.DataFrame) -> list[list[Any]]:
    """Return the columns as numbers, booleans, lists, and texts of times."""
    return [_plain(table[name]) for name in table]


def _plain(column: "pd.Series[Any]") -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return [to_iso(time) for time in column.astype(np.int64).tolist()]
    return [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in column.tolist()]
