"""Clients that load a server. They do little work themselves, so that the server is measured."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Endpoint:
    """A request, and the server that takes it."""

    port: int
    path: str
    body: bytes
    headers: dict[str, str]


class Connection:
    """A connection that is kept open, and opened again if the server closes it."""

    def __init__(self, endpoint: Endpoint, timeout: float = 60.0) -> None:
        self._endpoint = endpoint
        self._connection = http.client.HTTPConnection(LOOPBACK, endpoint.port, timeout=timeout)

    def ask(self) -> tuple[int, float]:
        """Send the request; return the status (0 if there is no answer) and the seconds that it took."""
        start = time.perf_counter()
        try:
            self._connection.request("POST", self._endpoint.path, self._endpoint.body, self._endpoint.headers)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status, time.perf_counter() - start
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, time.perf_counter() - start


@dataclass
class Answers:
    """Results of requests, in the order in which they ended."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # since the request was due, if a rate is given
    ends: list[float] = field(default_factory=list)  # by `time.perf_counter`


def load(endpoint: Endpoint, connections: int, seconds: float, rate: float | None = None) -> Answers:
    """Send a request repeatedly over several connections.

    Args:
        endpoint: The server and the request.
        connections: Number of connections, each with one request at a time.
        seconds: Duration.
        rate: Requests per second over all connections; by default as many as possible.
    """
    answers, lock, start = Answers(), threading.Lock(), time.perf_counter()

    def work(position: int) -> None:
        connection, due = Connection(endpoint), start
        period = connections / rate if rate else 0.0
        due += position * period / connections
        while (now := time.perf_counter()) < start + seconds:
            if period:
                time.sleep(max(0.0, due - now))
            status, taken = connection.ask()
            end = time.perf_counter()
            with lock:
                answers.statuses.append(status)
                answers.seconds.append(end - due if period else taken)
                answers.ends.append(end)
            due += period

    _run([threading.Thread(target=work, args=(position,)) for position in range(connections)])
    return answers


def in_turns(endpoints: Sequence[Endpoint], requests: int, rounds: int) -> list[list[float]]:
    """Return the seconds of requests to servers that take turns, so that changes of the machine's speed affect all."""
    connections = [Connection(endpoint) for endpoint in endpoints]
    seconds: list[list[float]] = [[] for _ in endpoints]
    for turn in range(rounds + 1):
        for connection, found in zip(connections, seconds, strict=True):
            taken = [connection.ask() for _ in range(requests)]
            if any(status != http.client.OK for status, _ in taken):
                raise RuntimeError(f"answered {sorted({status for status, _ in taken})}")
            if turn:  # the first round warms up
                found += [second for _, second in taken]
    return seconds


def _run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
