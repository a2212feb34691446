"""Columns of arrow tables as arrays and back, and their type of timestamps.

The methods of pyarrow for numbers import pandas, which takes longer than all else that a step on few rows does. Those
that compute, such as casts, import a module that takes a tenth of the start of such a step, so that what is written
here is read without them.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from container_component_src.arrays import Float32Array, IntArray, Timestamps

TIMESTAMP_TYPE = pa.timestamp("ns", tz="UTC")
Order = Literal["C", "F"]  # of an array [rows, channels]: row by row, or channel by channel
_TRANSPOSED_ROWS = 8_192  # at a time: a copy of a whole partition would set the peak memory of every reader


def timestamps_of(column: pa.ChunkedArray) -> Timestamps:
    """Return a timestamp column as nanoseconds since 1970-01-01 UTC, shape [rows]."""
    known = column if column.type == TIMESTAMP_TYPE else column.cast(TIMESTAMP_TYPE)
    return np.asarray(to_numpy(known.combine_chunks().view(pa.int64())), dtype=np.int64)


def values_of(
    table: pa.Table, channels: Sequence[str], order: Order = "C", rows: IntArray | None = None
) -> Float32Array:
    """Return channels as one array of shape [rows, channels]; nulls become NaN, true 1 and false 0.

    Args:
        table: The rows.
        channels: Names of its columns.
        order: How the array lies in memory. Models take rows; what reads and writes columns is faster by channel.
        rows: Positions of the rows to return, [rows]; None: all.
    """
    count = table.num_rows if rows is None else len(rows)
    values = np.empty((count, len(channels)), dtype=np.float32, order=order)
    if rows is not None:
        for position, name in enumerate(channels):
            np.take(to_numpy(float32_of(table.column(name))), rows, out=values[:, position], mode="clip")
        return values
    at_once = _TRANSPOSED_ROWS if order == "C" else table.num_rows
    first = 0
    for batch in table.select(channels).to_batches(max_chunksize=at_once) if channels and table.num_rows else ():
        columns = [to_numpy(float32_of(column)) for column in batch.columns]
        np.stack(columns, axis=1, out=values[first : first + batch.num_rows])
        first += batch.num_rows
    return values


def positions_of(ranges: Sequence[tuple[int, int]], rows: int) -> IntArray:
    """Return the positions of the rows in half-open ranges, which are ascending and disjoint, of so many rows."""
    steps = np.zeros(rows + 1, dtype=np.int8)
    for column, step in enumerate((1, -1)):
        np.add.at(steps, np.array(ranges)[:, column], step)
    return np.flatnonzero(np.cumsum(steps[:-1], dtype=np.int8))


def float32_of(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return numbers as float32; those out of its range become infinite, and count as missing."""
    return column if column.type == pa.float32() else column.cast(pa.float32(), safe=False)


def finite_floats(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Return numbers as float32, with NaN in place of those that are missing or infinite, and how many these are."""
    chunks = [to_numpy(chunk) for chunk in float32_of(column).chunks]
    finite = [np.isfinite(chunk) for chunk in chunks]
    missing = len(column) - sum(map(np.count_nonzero, finite))
    if missing:
        chunks = [np.where(*known, np.float32(np.nan)) for known in zip(finite, chunks, strict=True)]
    return pa.chunked_array(map(to_arrow, chunks), pa.float32()), missing


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
