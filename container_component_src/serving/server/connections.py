"""Limits on slow connections, and on large requests, of an HTTP server that uvicorn runs."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# Of the headers of a request, and of what else is not body; bodies in small chunks may have more.
MOST_HEAD_BYTES = 2**16
WRITE_BYTES_PER_SECOND = 2**20  # a client that takes an answer more slowly gets no more time than the read timeout

logger = logging.getLogger(__name__)


class Alarm:
    """Aborts a connection after some time, unless it is turned off before."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def set(self, transport: asyncio.Transport, seconds: float) -> None:
        """Turn it on, unless it is on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def clear(self) -> None:
        """Turn it off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LimitedConnection(HttpToolsProtocol):
    """A connection that is closed when its client is too slow, or sends too much that is not body.

    Uvicorn has a time limit only between requests: a client may begin a request and hold the connection for ever.

    Args:
        read_timeout: Seconds for the headers of a request, and for an answer to be taken.
        options: Options of the base class.
    """

    def __init__(self, *, read_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._read_timeout = read_timeout
        self._reading, self._writing = Alarm(), Alarm()
        self._overhead = 0  # bytes of the request that are not body
        self._body_bytes = 0

    def connection_made(  # type: ignore[override] # uvicorn narrows the type of the transport in the same way
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting."""
        self._reading.clear()
        self._writing.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take the next part of a request."""
        self._overhead += len(data)
        super().data_received(data)
        if self._overhead > MOST_HEAD_BYTES + self._body_bytes and not self.transport.is_closing():
            self._refuse()
        self._watch()

    def on_body(self, body: bytes) -> None:
        """Take the next part of a body."""
        self._overhead -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin to count the next request."""
        self._overhead = self._body_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take the answer."""
        super().pause_writing()
        seconds = self._read_timeout + self.transport.get_write_buffer_size() / WRITE_BYTES_PER_SECOND
        self._writing.set(self.transport, seconds)

    def resume_writing(self) -> None:
        """End waiting for the client to take the answer."""
        self._writing.clear()
        super().resume_writing()

    def _watch(self) -> None:
        """Begin or end to wait for headers: nothing is answered, and no wait for another request has begun."""
        answers = self.cycle is not None and not self.cycle.response_complete
        if answers or self.timeout_keep_alive_task is not None or self.transport.is_closing():
            self._reading.clear()
        else:
            self._reading.set(self.transport, self._read_timeout)

    def _refuse(self) -> None:
        logger.info("request refused: more than %d bytes of headers", MOST_HEAD_BYTES)
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
        else:
            self.transport.abort()
