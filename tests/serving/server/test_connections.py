"""Connections whose clients are slow or send too much. Nothing here asserts on time, but that connections end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from container_component_src.serving.server import connections
from container_component_src.serving.server.connections import MOST_HEAD_BYTES, LimitedConnection

SOON = 0.05  # seconds
ANSWER = b"x" * 30_000_000
GET = b"GET / HTTP/1.1\r\nhost: a\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Answer with the path, slowly if it says so, or with a large answer to a request with a body."""
    content = scope["path"].encode()
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
        content = ANSWER
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * SOON)
    length = str(len(content)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def connection(read_timeout: float = SOON) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config, state = Config(app, log_config=None), ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedConnection(config=config, server_state=state, app_state={}, read_timeout=read_timeout),
        "127.0.0.1",
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def answer(reader: asyncio.StreamReader, content: bytes) -> None:
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(len(content)) == content


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    try:
        while part := await reader.read(2**20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("answered", [0, 1, 2])
@pytest.mark.parametrize("begun", [b"", b"\r\n", b"G", GET, GET + b"a: " + b"b" * 1000], ids=len)
def test_a_request_that_is_not_sent_is_not_waited_for(answered: int, begun: bytes) -> None:
    async def ask() -> None:
        async with connection() as (reader, writer):
            for _ in range(answered):
                writer.write(GET + b"\r\n")
                await answer(reader, b"/")
            if answered and not begun:
                return  # KServe's --timeout-keep-alive is for this
            writer.write(begun)
            assert await rest(reader) == b""

    run(ask())


def test_an_answer_may_take_longer_than_a_request() -> None:
    async def ask() -> None:
        async with connection() as (reader, writer):
            for _ in range(3):
                writer.write(GET.replace(b"/ ", b"/slow ") + b"\r\n")
                await answer(reader, b"/slow")

    run(ask())


def test_requests_may_be_sent_at_once() -> None:
    async def ask() -> None:
        async with connection() as (reader, writer):
            writer.write((GET.replace(b"/ ", b"/slow ") + b"\r\n") * 3 + GET)
            for _ in range(3):
                await answer(reader, b"/slow")
            writer.write(b"\r\n")
            await answer(reader, b"/")

    run(ask())


HEADS: dict[str, tuple[bytes, bytes]] = {
    "a header": (GET + b"a: ", b"b" * 1000),
    "headers": (GET, b"a: b\r\n" * 100),
    "a path": (b"GET /", b"a" * 1000),
    "a trailer": (POST + b"1\r\nx\r\n0\r\na: ", b"b" * 1000),
    "trailers": (POST + b"0\r\n", b"a: b\r\n" * 100),
    "an extension of a chunk": (POST + b"1;", b"b" * 1000),
    "a head sent ahead": (GET.replace(b"/ ", b"/slow ") + b"\r\n" + GET + b"a: ", b"b" * 1000),
}


@pytest.mark.parametrize(("begin", "part"), HEADS.values(), ids=HEADS)
def test_what_is_not_body_is_limited(begin: bytes, part: bytes) -> None:
    async def ask() -> None:
        async with connection(read_timeout=600) as (reader, writer):
            writer.write(begin)
            for _ in range(2 * MOST_HEAD_BYTES // len(part)):
                writer.write(part)
            found = await rest(reader)
        assert not found or b" 431 " in found or found.endswith(b"/slow")  # what was sent last may be lost

    run(ask())


def test_a_body_in_small_chunks_is_no_head() -> None:
    async def ask() -> None:
        async with connection(read_timeout=600) as (reader, writer):
            writer.write(POST + b"10\r\n0123456789abcdef\r\n" * 20_000 + b"0\r\n\r\n")
            await answer(reader, ANSWER)

    run(ask())


def test_an_answer_that_is_not_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_BYTES_PER_SECOND", 10**12)
    lost = asyncio.Event()

    class Observed(LimitedConnection):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    monkeypatch.setitem(globals(), "LimitedConnection", Observed)

    async def ask() -> None:
        async with connection() as (reader, writer):
            writer.write(POST + b"0\r\n\r\n")
            await lost.wait()
            assert len(await rest(reader)) < len(ANSWER)

    run(ask())


def test_a_large_answer_is_taken_in_time() -> None:
    async def ask() -> None:
        async with connection() as (reader, writer):
            for _ in range(3):
                writer.write(POST + b"0\r\n\r\n")
                await answer(reader, ANSWER)

    run(ask())
