"""Server-sent events: what has changed, for every browser that is connected."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

KEPT = 500  # events for browsers that connect again
MOST_WAITING = 64  # events for one browser; a slower one reads everything again
HEARTBEAT_SECONDS = 15.0
RESET = "reset"  # the browser must read everything again


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        number: Its place among all events of this process, from 1.
        name: What has changed.
        data: JSON.
    """

    number: int
    name: str
    data: bytes = b"{}"


class Hub:
    """Passes events on to the browsers; the methods belong to the thread of the event loop.

    Args:
        heartbeat: Seconds of silence after which a comment shows that the connection still works.
    """

    def __init__(self, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat = heartbeat
        self._epoch = secrets.token_hex(4)  # numbers of another process mean nothing
        self._number = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._waiting: set[asyncio.Queue[Event | None]] = set()
        self._closed = False

    @property
    def last_id(self) -> str:
        """ID of the last event."""
        return f"{self._epoch}-{self._number}"

    @property
    def listeners(self) -> int:
        """Number of browsers that are connected."""
        return len(self._waiting)

    def publish(self, name: str, content: object) -> None:
        """Send an event to all browsers."""
        self._number += 1
        event = Event(self._number, name, orjson.dumps(content))
        self._kept.append(event)
        for queue in self._waiting:
            late = queue.full()  # it would have to keep ever more for a browser that does not read
            if late:
                _empty(queue)
            queue.put_nowait(Event(self._number, RESET) if late else event)

    async def stream(self, last_id: str) -> AsyncIterator[bytes]:
        """Yield the events after the one that a browser saw last, in the format of `text/event-stream`, until `close`.

        Args:
            last_id: ID of that event.
        """
        if self._closed:
            return
        queue: asyncio.Queue[Event | None] = asyncio.Queue(MOST_WAITING)
        self._waiting.add(queue)
        try:
            missed = self._missed(last_id)
            yield b"retry: 2000\n\n"
            for event in missed:
                yield self._encoded(event)
            while True:
                try:
                    next_event = await asyncio.wait_for(queue.get(), self._heartbeat)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if next_event is None:
                    return
                yield self._encoded(next_event)
        finally:
            self._waiting.discard(queue)

    def close(self) -> None:
        """End all streams, and those that begin later."""
        self._closed = True
        for queue in self._waiting:
            _empty(queue)
            queue.put_nowait(None)

    def _missed(self, last_id: str) -> list[Event]:
        epoch, _, text = last_id.partition("-")
        oldest = self._number - len(self._kept)
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
        if epoch != self._epoch or not oldest <= number <= self._number:
            return [Event(self._number, RESET)]
        return [event for event in self._kept if event.number > number]

    def _encoded(self, event: Event) -> bytes:
        return f"id: {self._epoch}-{event.number}\nevent: {event.name}\ndata: ".encode() + event.data + b"\n\n"


def _empty(queue: asyncio.Queue[Event | None]) -> None:
    while not queue.empty():
        queue.get_nowait()
