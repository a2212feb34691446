"""Requests to a predictor: connections that are reused, stale or refused, and what is sent."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.serving.server import predictor_client
from container_component_src.serving.server.predictor_client import PredictorClient, PredictorError, PredictorReply

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ninference-header-content-length: 2\r\n\r\n{}"
MOVED = b"HTTP/1.1 307 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"


class Predictor:
    """A server that answers as it is told, and closes a connection after so many answers."""

    def __init__(self, answer: bytes = OK, answers: int = 100) -> None:
        self.answer, self.answers, self.connections = answer, answers, 0
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.answers):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.heads.append(head)
            await reader.readexactly(4)
            writer.write(self.answer)
        writer.close()


def asked(predictor: Predictor, requests: int = 1, headers: dict[str, str] | None = None) -> list[PredictorReply]:
    """Return the answers of a predictor to requests one after the other."""

    async def ask() -> list[PredictorReply]:
        server = await asyncio.start_server(predictor.serve, LOOPBACK, 0)
        client = PredictorClient(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/infer", 60, 0)
        try:
            return [await client.post([b"ro", memoryview(b"ws")], headers or {}) for _ in range(requests)]
        finally:
            await client.close()
            server.close()

    return asyncio.run(ask())


def test_a_connection_is_used_again() -> None:
    predictor = Predictor()
    assert asked(predictor, 3) == [PredictorReply(200, b"{}", "2")] * 3
    assert predictor.connections == 1


def test_a_connection_that_the_predictor_has_closed_is_replaced() -> None:
    predictor = Predictor(answers=1)
    assert [answer.status for answer in asked(predictor, 3)] == [200] * 3
    assert predictor.connections == 3


def test_a_redirection_is_not_followed() -> None:
    predictor = Predictor(MOVED)
    assert [answer.status for answer in asked(predictor)] == [307]
    assert len(predictor.heads) == 1


def test_headers_are_passed_on_byte_by_byte() -> None:
    predictor = Predictor()
    asked(predictor, headers={"authorization": "Bearer Zürich".encode().decode("latin-1")})
    (head,) = predictor.heads
    assert "\r\nauthorization: bearer zürich\r\n" in head.decode().lower()
    assert b"accept" not in head.lower()  # a compressed answer would only cost time


class SilentLoop(asyncio.SelectorEventLoop):
    """An event loop in which no connection is ever made or refused."""

    async def sock_connect(self, sock: socket.socket, address: object) -> None:
        await self.create_future()


LOOPS = pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, SilentLoop], ids=["refused", "unanswered"])


@LOOPS
@pytest.mark.parametrize(("retries", "waits"), [(0, []), (3, [0, 0.5, 1.0])])
def test_without_a_connection_it_is_tried_again(
    retries: int, waits: list[float], loop: type[asyncio.SelectorEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def ask() -> None:
        own = asyncio.get_running_loop()

        async def record(seconds: float) -> None:
            if asyncio.get_running_loop() is own:  # servers of other tests may sleep, too
                slept.append(seconds)
            await sleep(0 if asyncio.get_running_loop() is own else seconds)

        (port,) = free_ports(1)
        client = PredictorClient(f"http://{LOOPBACK}:{port}/infer", 60, retries)
        monkeypatch.setattr(asyncio, "sleep", record)
        try:
            await client.post([b"ro", memoryview(b"ws")], {})
        finally:
            await client.close()

    monkeypatch.setattr(predictor_client, "CONNECT_TIMEOUT", 0.01)
    with (
        asyncio.Runner(loop_factory=loop) as runner,
        pytest.raises(PredictorError, match="The predictor does not answer"),
    ):
        runner.run(ask())
    assert slept == waits


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    with pytest.raises(PredictorError, match="does not answer"):
        asked(Predictor(OK[:-1], answers=1))
