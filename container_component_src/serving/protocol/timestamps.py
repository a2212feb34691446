"""Timestamps of requests and of the client's files."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

_EARLIEST = 10**17  # nanoseconds: 1973. Anything before was meant as seconds, milliseconds or microseconds
_LATEST = 2**63 - 1


def timestamps_of(times: Sequence[object]) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 UTC, strictly ascending.

    Args:
        times: ISO 8601 texts, UTC unless they say otherwise, or integers of nanoseconds since 1970 UTC.

    Raises:
        ValueError: Names the first row whose time is none, or is not after the one before it.
    """
    numbers = [time for time in times if type(time) is int]
    if len(numbers) == len(times):
        row = next((row for row, time in enumerate(numbers) if not _EARLIEST <= time <= _LATEST), None)
        if row is not None:
            raise ValueError(f"row {row}, timestamp {times[row]}: no nanoseconds since 1970; send them, or ISO 8601")
        found = np.array(numbers, dtype=np.int64)
    else:
        found = _parsed(times)
    late = np.flatnonzero(np.diff(found) <= 0)
    if len(late):
        row = int(late[0]) + 1
        raise ValueError(f"row {row}, timestamp {times[row]}: not after that of row {row - 1}; sort rows by time")
    return found


def _parsed(times: Sequence[object]) -> npt.NDArray[np.int64]:
    row = next((row for row, time in enumerate(times) if type(time) is not str), None)
    if row is not None:
        raise ValueError(f"row {row}, timestamp: neither ISO 8601 nor whole nanoseconds, as the others; send one kind")
    parsed = pd.to_datetime(pd.Series(list(map(str, times)), dtype=object), format="ISO8601", utc=True, errors="coerce")
    bad = np.flatnonzero(parsed.isna())
    if len(bad):
        row = int(bad[0])
        raise ValueError(f"row {row}, timestamp {str(times[row])[:40]!r}: no time in ISO 8601; fix it")
    return np.asarray(parsed.dt.as_unit("ns").astype(np.int64), dtype=np.int64)
