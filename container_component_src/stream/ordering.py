"""The order of rows that come late or twice."""

from bisect import bisect_left, insort
from collections import deque
from operator import attrgetter
from typing import Literal

from container_component_src.stream.rows import Row

RECENT_ROWS = 2_000  # rows before the present one that are told apart from late ones if they come again
Dropped = Literal["late", "duplicate"]

_by_time = attrgetter("timestamp")


class ReorderBuffer:
    """Gives rows back in the order of their timestamps, each once.

    A row waits as long as an older one may still come. A row that is older than one given back is late.

    Args:
        wait_ns: Nanoseconds of telemetry that a row waits; 0: no time.
        wait_rows: Rows after which it no longer waits; 0: no such number.

    Attributes:
        held: Rows that wait, in order.
        recent: Timestamps of the last rows given back, in order.
    """

    def __init__(self, wait_ns: int = 0, wait_rows: int = 0) -> None:
        self._wait_ns = wait_ns
        self._wait_rows = wait_rows
        self.held: list[Row] = []
        self.recent = deque[int](maxlen=RECENT_ROWS)

    def push(self, row: Row) -> Dropped | None:
        """Take a row; return why it is dropped, or None."""
        if self.recent and row.timestamp <= self.recent[-1]:
            place = bisect_left(self.recent, row.timestamp)
            return "duplicate" if self.recent[place] == row.timestamp else "late"
        place = bisect_left(self.held, row.timestamp, key=_by_time)
        if place < len(self.held) and self.held[place].timestamp == row.timestamp:
            return "duplicate"
        insort(self.held, row, key=_by_time)
        return None

    def ready(self) -> list[Row]:
        """Take out and return the rows that no longer wait."""
        count = len(self.held)
        if count and (self._wait_ns or self._wait_rows):
            counts = []
            if self._wait_ns:
                due = self.held[-1].timestamp - self._wait_ns
                counts.append(bisect_left(self.held, due + 1, key=_by_time))
            if self._wait_rows:
                counts.append(max(0, count - self._wait_rows))
            count = max(counts)
        return self._take(count)

    def flush(self) -> list[Row]:
        """Take out and return all rows."""
        return self._take(len(self.held))

    def _take(self, count: int) -> list[Row]:
        taken, self.held = self.held[:count], self.held[count:]
        self.recent.extend(map(_by_time, taken))
        return taken
