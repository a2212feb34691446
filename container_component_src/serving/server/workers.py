"""Worker processes that are given the time to load; import this module only in a process that is to serve."""

import time
from typing import Any

from kserve.protocol.rest.multiprocess import server as kserve_workers

_START_SECONDS = 300.0  # to import the libraries and to load the bundle, on few and busy cores


class PatientProcess(kserve_workers.RESTServerProcess):
    """A worker that may answer its first ping late.

    KServe kills one that has not answered within five seconds of its start, and starts the next: on a slow machine
    there would never be any.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start_by = time.monotonic() + _START_SECONDS
        self._asked = self._answered = False

    def ping(self, timeout: float = 5) -> bool:
        """Whether the process answers, or still starts."""
        if self._answered or time.monotonic() > self._start_by:
            return bool(super().ping(timeout))
        if not self._asked:
            self._parent_conn.send(b"ping")
            self._asked = True
        if self._parent_conn.poll():
            self._answered = self._parent_conn.recv() == b"pong"
        return True


def install() -> None:
    """Have KServe start such processes."""
    kserve_workers.RESTServerProcess = PatientProcess
