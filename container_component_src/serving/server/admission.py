"""How many requests a process works on, how many wait for their turn, and how many bytes all of them hold."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from container_component_src.serving.server.offload import INLINE_BYTES

SMALL_TURNS = 16
LARGE_TURNS = 2  # one is read or answered while the predictor works on the other
WAIT_SECONDS = 60.0
_HELD_BODIES = 4  # of the largest size


class OverloadedError(Exception):
    """The server has too much to do; the same request may succeed later."""


class Admission:
    """Admits the requests of a process.

    Small requests do not wait for large ones, which the event loop does not do either.

    Args:
        most_waiting: Number of requests that may wait for their turn.
        body_bytes: Bytes of the largest body.
    """

    def __init__(self, most_waiting: int, body_bytes: int) -> None:
        self._small, self._large = asyncio.Semaphore(SMALL_TURNS), asyncio.Semaphore(LARGE_TURNS)
        self._waiting, self._most_waiting = 0, most_waiting
        self.most_requests = SMALL_TURNS + LARGE_TURNS + most_waiting
        self._held, self._most_held = 0, _HELD_BODIES * body_bytes
        self._failed = False  # a large request, since the last search for garbage

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes that a request holds until the block ends.

        Yields:
            Function to call with the number of bytes so far. It raises an OverloadedError if all requests hold too
            many. Small requests do not count.
        """
        counted = 0

        def hold(size: int) -> None:
            nonlocal counted
            if size <= INLINE_BYTES:
                return
            if not counted and self._failed:
                gc.collect()  # what is left of the request: its error and the frames of this refer to each other
                self._failed = False
            if self._held + size - counted > self._most_held:
                raise OverloadedError("too many large requests at a time; try again later")
            self._held += size - counted
            counted = size

        try:
            yield hold
        except BaseException:
            self._failed |= counted > 0
            raise
        finally:
            self._held -= counted

    def admits_at_once(self, size: int) -> bool:
        """Return whether it is the turn of a small request of so many bytes."""
        return size <= INLINE_BYTES and not self._small.locked()

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a request, and keep it until the block ends.

        Args:
            size: Bytes of the request.

        Raises:
            OverloadedError: Too many requests wait already, or the turn does not come in time.
        """
        turns = self._small if size <= INLINE_BYTES else self._large
        if turns.locked():
            if self._waiting >= self._most_waiting:
                raise OverloadedError(f"{self._waiting} requests wait already; try again later")
            self._waiting += 1
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await turns.acquire()
            except TimeoutError as error:
                raise OverloadedError(f"waited {WAIT_SECONDS:g} s for a turn; try again later") from error
            finally:
                self._waiting -= 1
        else:
            await turns.acquire()
        try:
            yield
        finally:
            # Work that does not wait would otherwise pass the turn on at once, and a probe wait for all that is ready.
            asyncio.get_running_loop().call_soon(turns.release)
