"""HTTP connections to a predictor, which stay open between requests.

This uses aiohttp: httpx takes a millisecond of processor time for a request, more than the model for a row.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import httpx

from container_component_src.serving.protocol.v2 import HEADER_LENGTH

# Seconds. A predictor on a machine that is gone does not even refuse the connection, but a busy machine takes its time.
CONNECT_TIMEOUT = 5.0
CA_VARIABLE = "REQUESTS_CA_BUNDLE"  # KServe's controller sets it if the connection to the predictor is encrypted
KEEP_SECONDS = 15.0  # of a connection without requests; the predictor keeps it for longer
_BUFFER_BYTES = 2**20  # of an answer; with fewer, receiving pauses again and again
_RETRY_SECONDS = 0.5  # before the second retry; each later wait is twice as long as the one before
# How a connection fails that the predictor has closed since its last use; it is safe to score once more.
_STALE_CONNECTION = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
# A node answers few of the connections for which there is no pod: others are not refused, they just get no answer.
_NO_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class PredictorError(Exception):
    """The predictor does not answer, or its answer cannot be used."""


@dataclass(frozen=True)
class PredictorReply:
    """An answer of the predictor."""

    status: int
    content: bytes
    json_length: str | None  # header `inference-header-content-length`

    @property
    def text(self) -> str:
        """The content as a text."""
        return self.content.decode(errors="replace")


class PredictorClient:
    """Sends requests to a predictor. Use it in one event loop, and close it there.

    Args:
        url: URL of the requests.
        timeout: Seconds to wait for an answer.
        retries: Number of further attempts if there is no connection.
    """

    def __init__(self, url: str, timeout: float, retries: int) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, connect=timeout, sock_read=timeout)
        self._retries = retries
        self._session: aiohttp.ClientSession | None = None

    async def post(self, parts: Sequence[bytes | memoryview], headers: Mapping[str, str]) -> PredictorReply:
        """Return the answer to a request.

        Args:
            parts: Body of the request in parts, which are not joined: copies of a large one cost time and memory.
            headers: Headers of the request, whose values are decoded as Latin-1.

        Raises:
            PredictorError: The predictor does not answer.
        """
        # aiohttp encodes the values as UTF-8.
        sent = {name: value.encode("latin-1", "replace").decode(errors="replace") for name, value in headers.items()}
        sent["content-length"] = str(sum(map(len, parts)))
        retried = 0
        while True:
            try:
                return await self._connected(parts, sent)
            except _NO_CONNECTION as error:
                if retried == self._retries:
                    raise _unanswered(error) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _unanswered(error) from error
            await asyncio.sleep(_RETRY_SECONDS * 2 ** (retried - 1) if retried else 0)
            retried += 1

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _connected(self, parts: Sequence[bytes | memoryview], headers: dict[str, str]) -> PredictorReply:
        try:
            return await self._send(parts, headers)
        except aiohttp.ClientConnectorError:
            raise
        except _STALE_CONNECTION:
            return await self._send(parts, headers)

    async def _send(self, parts: Sequence[bytes | memoryview], headers: dict[str, str]) -> PredictorReply:
        if self._session is None:  # created in the event loop that uses it
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=_certificates(), keepalive_timeout=KEEP_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "accept-encoding", "user-agent"),
                timeout=self._timeout,
                read_bufsize=_BUFFER_BYTES,
            )
        body = _each(parts)
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
            return PredictorReply(answer.status, await answer.read(), answer.headers.get(HEADER_LENGTH))


async def _each(parts: Sequence[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    for part in parts:
        yield part


def _certificates() -> ssl.SSLContext:
    file = os.environ.get(CA_VARIABLE)
    return ssl.create_default_context(cafile=file) if file else httpx.create_ssl_context()


def _unanswered(error: Exception) -> PredictorError:
    return PredictorError(f"The predictor does not answer ({type(error).__name__}: {error}).")
