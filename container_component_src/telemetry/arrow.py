"""Columns of arrow tables as arrays and back, and their type of timestamps.

The methods of pyarrow for numbers import pandas, which takes longer than all else that a step on few rows does.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from container_component_src.arrays import Float32Array, Timestamps

TIMESTAMP_TYPE = pa.timestamp("ns", tz="UTC")
Order = Literal["C", "F"]  # of an array [rows, channels]: row by row, or channel by channel
_MOST_SLICES = 64  # each slice has a few hundred bytes a column, and is read on its own
_TRANSPOSED_ROWS = 8_192  # at a time: a copy of a whole partition would set the peak memory of every reader


def timestamps_of(column: pa.ChunkedArray) -> Timestamps:
    """Return a timestamp column as nanoseconds since 1970-01-01 UTC, shape [rows]."""
    return np.asarray(to_numpy(column.cast(TIMESTAMP_TYPE).cast(pa.int64())), dtype=np.int64)


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
            columns = [to_numpy(_floats(column)) for column in batch.columns]
            np.stack(columns, axis=1, out=rows, casting="same_kind")
            position += batch.num_rows
    return values


def rows_of(table: pa.Table, ranges: Sequence[tuple[int, int]]) -> pa.Table:
    """Return the rows of half-open ranges, ascending and disjoint, in order; few ranges are not copied."""
    if len(ranges) <= _MOST_SLICES:
        return pa.concat_tables([table.slice(first, stop - first) for first, stop in ranges])
    steps = np.zeros(table.num_rows + 1, dtype=np.int8)
    for column, step in enumerate((1, -1)):
        np.add.at(steps, np.array(ranges)[:, column], step)
    return table.take(to_arrow(np.flatnonzero(np.cumsum(steps[:-1], dtype=np.int8))))


def _floats(column: pa.Array) -> pa.Array:
    return column if pa.types.is_floating(column.type) else column.cast(pa.float32(), safe=False)


def to_arrow(values: npt.NDArray[Any]) -> pa.Array:
    """Return numbers of shape [rows] as an array of pyarrow; one without gaps in memory is not copied."""
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def to_numpy(array: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return numbers of shape [rows] without copying a single chunk; nulls, which only floats may have, become NaN."""
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return np.from_dlpack(whole.fill_null(_NAN.cast(whole.type)) if whole.null_count else whole)


_NAN = to_arrow(np.array([np.nan]))[0]
# The default pool asks the kernel for huge pages, for which it may have to move memory first: that took a third of the
# processor time of reading and writing on a busy machine, and some memory on any, see docs/results.md.
pa.set_memory_pool(pa.system_memory_pool())
