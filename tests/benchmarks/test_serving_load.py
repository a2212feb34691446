from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from benchmarks.serving import WINDOWS, windows
from benchmarks.serving_load import LOOPBACK, Answers, Endpoint, in_turns, load
from container_component_src.backends.local.processes import free_ports


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; 400 to nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200 if body else 400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer((LOOPBACK, 0), Echo) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()


def endpoint(port: int, body: bytes = b"rows") -> Endpoint:
    return Endpoint(port, "/", body, {})


def test_a_rate_is_not_exceeded(port: int) -> None:
    answers = load(endpoint(port), connections=2, seconds=0.5, rate=40)
    assert set(answers.statuses) == {200}
    assert len(answers.statuses) == len(answers.seconds) == len(answers.ends)
    assert 0 < len(answers.ends) <= 0.5 * 40 + 2


def test_without_an_answer_the_status_is_zero() -> None:
    assert set(load(endpoint(free_ports(1)[0]), connections=1, seconds=0.05).statuses) == {0}


def test_turns_leave_the_first_round_out_and_refuse_errors(port: int) -> None:
    assert [len(seconds) for seconds in in_turns([endpoint(port)] * 2, requests=3, rounds=2)] == [6, 6]
    with pytest.raises(RuntimeError, match="400"):
        in_turns([endpoint(port, b"")], requests=1, rounds=1)


def test_start_and_end_of_a_soak_are_told_apart() -> None:
    seconds = np.repeat(np.arange(1.0, WINDOWS + 1), 100)
    order = np.random.default_rng(0).permutation(len(seconds))
    answers = Answers([200] * len(seconds), seconds[order].tolist(), np.arange(float(len(seconds)))[order].tolist())
    assert windows(answers) == (1.0, float(WINDOWS))
