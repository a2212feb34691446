"""Clients that put a load on a server: as light as can be, so that it is the server that is measured."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Endpoint:
    """Where a server takes requests, and one for it."""

    port: int
    path: str
    body: bytes
    headers: dict[str, str]


class Connection:
    """One connection that is kept open; a new one where the server closed it."""

    def __init__(self, endpoint: Endpoint, timeout: float = 60.0) -> None:
        self._endpoint = endpoint
        self._connection = http.client.HTTPConnection(LOOPBACK, endpoint.port, timeout=timeout)

    def ask(self) -> tuple[int, float]:
        """Send the request; returns status (0: no answer) and seconds."""
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
    """What came of requests, in the order of their ends."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # from when a request was due, where a rate was given
    ends: list[float] = field(default_factory=list)  # on the clock of `time.perf_counter`


def load(endpoint: Endpoint, connections: int, seconds: float, rate: float | None = None) -> Answers:
    """Ask over some connections at a time.

    Args:
        endpoint: The server, and the request.
        connections: How many, each with one request at a time.
        seconds: For how long.
        rate: Requests per second over all connections; as many as can be by default.
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
    """Seconds of single requests to servers that take turns, so that a change of the machine's speed meets all."""
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
