"""Anomalies and other events as half-open intervals of time, and the rows in them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from container_component_src.arrays import BoolArray, IntArray, Timestamps
from container_component_src.values import Frozen

_SHOWN = 5  # events that a message names


class Event(Frozen):
    """One anomaly, or a time that operators have judged: [start, end) in nanoseconds since 1970-01-01 UTC."""

    id: str
    symbol: str = ""
    title: str = ""
    start: int
    end: int
    causes: tuple[str, ...] = ()  # channels that the report names
    origin: Literal["report", "verdict"] = "report"  # a row of the anomaly reports, or the verdict on an alarm


def inside_any(timestamps: Timestamps, events: Sequence[Event], margin: int = 0) -> BoolArray:
    """Return which rows are in an event that is extended by a margin on both sides.

    Args:
        timestamps: Shape [rows], in any order.
        events: Events; they may overlap.
        margin: Nanoseconds.

    Returns:
        Shape [rows].
    """
    first, last = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # a report may have any year
    starts = np.sort(np.array([max(event.start - margin, first) for event in events], dtype=np.int64))
    ends = np.sort(np.array([min(event.end + margin, last) for event in events], dtype=np.int64))
    # A row is in as many events as have started by then and have not ended.
    return np.searchsorted(starts, timestamps, side="right") > np.searchsorted(ends, timestamps, side="right")


def row_bounds(timestamps: Timestamps, events: Sequence[Event]) -> IntArray:
    """Return the first row of each event and the row after its last; they are equal for an event without rows.

    Args:
        timestamps: Shape [rows], ascending.
        events: Events; they may overlap.

    Returns:
        Shape [events, 2].
    """
    intervals = np.array([(event.start, event.end) for event in events], dtype=np.int64).reshape(-1, 2)
    return np.searchsorted(timestamps, intervals)


def shown_names(names: Sequence[str]) -> str:
    """Return the IDs of events as a message lists them: the first ones, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
