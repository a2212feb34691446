"""One structured log line per request, and its count in the metrics."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from container_component_src.serving.server.metrics import Metrics

E = TypeVar("E", bound=BaseException)

OK, INTERNAL_ERROR = 200, 500

logger = logging.getLogger(__name__)


@dataclass
class Entry:
    """What became of a request."""

    status: int = INTERNAL_ERROR  # until it is known better
    rows: int = 0
    alarms: int = 0
    error: str = ""

    def answered(self, rows: int, alarms: int) -> None:
        """The request was answered."""
        self.status, self.rows, self.alarms = OK, rows, alarms

    def failed(self, status: int, error: E) -> E:
        """The request was refused; returns the error."""
        self.status, self.error = status, str(error)
        return error


class RequestLog:
    """Logs the requests of a server.

    Args:
        model: Name of the model.
        version: Of its bundle.
        metrics: Where requests are counted.
    """

    def __init__(self, model: str, version: str, metrics: Metrics) -> None:
        self._fields = {"model": model, "version": version}
        self._metrics = metrics
        self.level = logging.INFO  # of requests that were answered

    @contextmanager
    def request(self, protocol: str, headers: Mapping[str, str]) -> Iterator[Entry]:
        """Handle a request in this block, and say in the entry what became of it."""
        entry, start = Entry(), time.perf_counter()
        try:
            yield entry
        finally:
            seconds = time.perf_counter() - start
            self._metrics.request(protocol, entry.status, seconds)
            level = self.level if entry.status < INTERNAL_ERROR else logging.ERROR
            if logger.isEnabledFor(level):
                fields = {
                    "request_id": headers.get("x-request-id", ""),
                    "protocol": protocol,
                    "status": entry.status,
                    "rows": entry.rows,
                    "alarms": entry.alarms,
                    "ms": round(seconds * 1000, 3),
                    **self._fields,
                }
                if entry.error:
                    fields["error"] = entry.error
                logger.log(level, "request", extra={"fields": fields})
