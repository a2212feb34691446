"""Numbers from pyarrow to numpy and back.

The methods of pyarrow for this import pandas, which takes longer than all else that a step on few rows does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


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
