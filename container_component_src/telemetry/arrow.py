"""Columns of arrow tables as arrays, and their type of timestamps."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from container_component_src.arrays import Float32Array, Timestamps

TIMESTAMP_TYPE = pa.timestamp("ns", tz="UTC")
Order = Literal["C", "F"]  # of an array [rows, channels]: row by row, or channel by channel
_TRANSPOSED_ROWS = 8_192  # at a time: a copy of a whole partition would set the peak memory of every reader


def timestamps_of(column: pa.ChunkedArray) -> Timestamps:
    """Return a timestamp column as nanoseconds since 1970-01-01 UTC, shape [rows]."""
    return np.asarray(column.cast(TIMESTAMP_TYPE).cast(pa.int64()).to_numpy(), dtype=np.int64)


def values_of(table: pa.Table, channels: Sequence[str], order: Order = "C") -> Float32Array:
    """Return channels as one array of shape [rows, channels]; nulls become NaN, true 1 and false 0.

    Args:
        table: The rows.
        channels: Names of its columns.
        order: How the array lies in memory. Models take rows; what reads and writes columns is faster by channel.
    """
    values = np.empty((table.num_rows, len(channels)), dtype=np.float32, order=order)
    at_once = _TRANSPOSED_ROWS if order == "C" else table.num_rows
    position = 0
    with np.errstate(over="ignore"):  # doubles out of the range of float32 become infinite, and count as missing
        for batch in table.select(channels).to_batches(max_chunksize=at_once) if channels and table.num_rows else ():
            rows = values[position : position + batch.num_rows]
            columns = [_floats(column).to_numpy(zero_copy_only=False) for column in batch.columns]
            np.stack(columns, axis=1, out=rows, casting="same_kind")
            position += batch.num_rows
    return values


def rows_of(table: pa.Table, ranges: Sequence[tuple[int, int]]) -> pa.Table:
    """Return the rows of half-open ranges, in order, without a copy."""
    return pa.concat_tables([table.slice(first, stop - first) for first, stop in ranges])


def _floats(column: pa.Array) -> pa.Array:
    return column if pa.types.is_floating(column.type) else column.cast(pa.float32(), safe=False)
