"""Where the events of alarms go: one JSON object each, as in a file of alarms."""

import fcntl
import os
import ssl
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import httpx

from container_component_src.alarms.alarm import Alarm
from container_component_src.alarms.files import to_ndjson
from container_component_src.errors import InputError, StepError
from container_component_src.files import check_output
from container_component_src.stream.marks import Mark
from container_component_src.values import in_home
from container_component_src.waiting import TRANSIENT_STATUSES

_MESSAGE_LENGTH = 300


class Sink(ABC):
    """Takes events. Use it in an `async with` statement."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:  # noqa: B027 - not all have something to do
        """Close what is open."""

    @abstractmethod
    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events, in order.

        Raises:
            InputError: They are refused.
            StepError: They could not be written now; some may have been.
        """


class StdoutSink(Sink):
    """Writes events to stdout."""

    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events; see `Sink`."""
        sys.stdout.write(to_ndjson(events))
        sys.stdout.flush()


class FileSink(Sink):
    """Appends events to a file of this machine, each exactly once.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(in_home(path))
        self._file = -1
        self._mark: Mark | None = None

    def resume(self, mark: Mark | None) -> None:
        """Take back what was written after the state; called before the sink is entered.

        Args:
            mark: End of the file when the state was written; None if there is no state.
        """
        self._mark = mark

    async def __aenter__(self) -> Self:
        check_output(self._path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise InputError(f"{self._path}: another stream writes it", fix="name another file") from error
        if self._mark is not None:
            if not self._mark.fits(self._file):
                os.close(self._file)
                raise InputError(
                    f"{self._path}: not the file of events that belongs to the state, or changed since",
                    fix="name the file that this stream wrote, or another --state-file",
                )
            os.ftruncate(self._file, self._mark.position)
        return self

    async def __aexit__(self, *_: object) -> None:
        os.close(self._file)

    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events; see `Sink`."""
        content, length = memoryview(to_ndjson(events).encode()), os.fstat(self._file).st_size
        try:
            while content:
                content = content[os.write(self._file, content) :]
        except OSError:
            os.ftruncate(self._file, length)  # the next event would be appended to a part of this one
            raise

    def sync(self) -> Mark:
        """Return the end of the file, which is on the disk now."""
        os.fsync(self._file)
        return Mark.at(self._file, os.fstat(self._file).st_size)


class WebhookSink(Sink):
    """Posts each event to an address.

    Args:
        url: The address.
        token: Bearer token, or "".
        timeout: Seconds to wait for an answer.
        verify: Settings of TLS; True for the certificates of the system.
    """

    def __init__(self, url: str, token: str, timeout: float, verify: ssl.SSLContext | bool = True) -> None:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._url = url
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, verify=verify)

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def write(self, events: Sequence[Alarm]) -> None:
        """Write events; see `Sink`."""
        for event in events:
            try:
                answer = await self._client.post(self._url, content=event.model_dump_json())
            except httpx.HTTPError as error:
                raise StepError(f"--webhook: {type(error).__name__}: {error}", fix="check the receiver") from error
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                problem = f"--webhook: {answer.status_code} {answer.text[:_MESSAGE_LENGTH]}".strip()
                if answer.status_code in TRANSIENT_STATUSES:
                    raise StepError(problem, fix="check the receiver")
                raise InputError(problem, fix="check the address and the token")
