"""Timestamps as text."""

from datetime import UTC, datetime

import numpy as np


def to_iso(timestamp: int) -> str:
    """Return nanoseconds since 1970-01-01 UTC as ISO 8601 text."""
    seconds, nanoseconds = divmod(timestamp, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()
    if not nanoseconds:
        return text
    fraction = f"{nanoseconds:09d}" if nanoseconds % 1000 else f"{nanoseconds // 1000:06d}"
    return text.replace("+", f".{fraction}+")


def from_iso(text: str) -> int:
    """Return the nanoseconds since 1970-01-01 UTC of a text that `to_iso` wrote.

    Raises:
        ValueError: The text is no such time.
    """
    time, plus, zone = text.partition("+")
    if not plus or zone != "00:00":
        raise ValueError(f"{text!r} is not a time in UTC such as 2021-01-04T03:15:02+00:00")
    seconds, found = np.datetime64(time, "s"), np.datetime64(time, "ns")
    if found.astype("datetime64[s]") != seconds:  # NaT differs from itself, and a distant year overflows
        raise ValueError(f"{text!r} is not a time between the years 1678 and 2262")
    return int(found.astype(np.int64))
