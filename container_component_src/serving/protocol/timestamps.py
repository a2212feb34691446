"""Timestamps in requests, in the files of the client and in streams."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from container_component_src.arrays import Timestamps
from container_component_src.serving.protocol.errors import RequestError

_EARLIEST = 10**17  # nanoseconds: the year 1973; smaller numbers are seconds, milliseconds or microseconds
_LATEST = 2**63 - 1
# pandas also takes "now", "today", years, dates without separators, and more digits than it keeps.
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
    r"|\d{8}T\d{4}(\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(\d\d)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def timestamps_of(times: Sequence[object], rows: int) -> Timestamps:
    """Return timestamps as nanoseconds since 1970-01-01 UTC, strictly ascending, shape [rows].

    Args:
        times: ISO 8601 texts from the day to the nanosecond, in UTC unless they name another zone, or integers of
            nanoseconds since 1970-01-01 UTC.
        rows: Number of rows that they belong to.

    Raises:
        RequestError: Their number differs from `rows`, or a value is not a timestamp or not later than the one before
            it. The message names the first such row.
    """
    if len(times) != rows:
        raise RequestError(f"{len(times)} timestamps for {rows} rows", fix="send one per row, or none")
    numbers = [time for time in times if type(time) is int]
    if len(numbers) == len(times):
        row = next((row for row, time in enumerate(numbers) if not _EARLIEST <= time <= _LATEST), None)
        if row is not None:
            raise RequestError(f"row {row}, timestamp {times[row]}: not in nanoseconds", fix="send these, or ISO 8601")
        timestamps = np.array(numbers, dtype=np.int64)
    else:
        timestamps = _parsed(times)
    late = np.flatnonzero(np.diff(timestamps) <= 0)
    if len(late):
        row = int(late[0]) + 1
        raise RequestError(f"row {row}, timestamp {times[row]}: not after that of row {row - 1}", fix="sort by time")
    return timestamps


def timestamp_of(time: object) -> int:
    """Return a single timestamp as nanoseconds since 1970-01-01 UTC: what `timestamps_of` returns, much quicker.

    Raises:
        RequestError: It is not a timestamp.
    """
    if type(time) is int and _EARLIEST <= time <= _LATEST:
        return time
    if type(time) is str and _ISO_8601.fullmatch(time):
        whole, fraction, zone = _parts(time)
        try:
            found = datetime.fromisoformat(whole + zone)
        except ValueError:
            found = None
        if found is not None:
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
            nanoseconds = (found - _EPOCH) // _SECOND * 10**9 + int(fraction.ljust(9, "0"))
            if -_LATEST <= nanoseconds <= _LATEST:
                return nanoseconds
    raise RequestError(
        f"timestamp {str(time)[:40]!r}: neither ISO 8601 nor whole nanoseconds since 1970",
        fix="write it as in 2024-03-01T12:00:00Z",
    )


def _parts(text: str) -> tuple[str, str, str]:
    """Return what is before the fraction of a second in ISO 8601, the digits of the fraction, and what is behind."""
    whole, _, rest = text.partition(".")
    fraction = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    return whole, fraction, rest.removeprefix(fraction)


def _parsed(times: Sequence[object]) -> Timestamps:
    row = next((row for row, time in enumerate(times) if type(time) is not str), None)
    if row is not None:
        raise RequestError(
            f"row {row}, timestamp: neither ISO 8601 nor whole nanoseconds like the others", fix="send one kind"
        )
    texts = [text if _ISO_8601.fullmatch(text) else None for text in map(str, times)]
    parsed = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", utc=True, errors="coerce")
    invalid = np.flatnonzero(parsed.isna())
    if len(invalid):
        row = int(invalid[0])
        raise RequestError(
            f"row {row}, timestamp {str(times[row])[:40]!r}: not a time in ISO 8601 from 1678 to 2261",
            fix="write it as in 2024-03-01T12:00:00Z, or send whole nanoseconds since 1970",
        )
    return np.asarray(parsed.dt.as_unit("ns").astype(np.int64), dtype=np.int64)
