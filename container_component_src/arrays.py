"""NumPy array types by what they hold; each use says the shape, as in `Float32Array  # [rows, channels]`."""

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int8Array = npt.NDArray[np.int8]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Timestamps = npt.NDArray[np.int64]  # nanoseconds since 1970-01-01 UTC
