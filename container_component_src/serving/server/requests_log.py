"""One log line per request, and its count in the metrics."""

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
    """The outcome of a request."""

    status: int = INTERNAL_ERROR  # until the outcome is known
    rows: int = 0
    alarms: int = 0
    error: str = ""

    def answered(self, rows: int, alarms: int) -> None:
        """Record that the request was answered."""
        self.status, self.rows, self.alarms = OK, rows, alarms

    def failed(self, status: int, error: E) -> E:
        """Record that the request was refused; return the error."""
        self.status, self.error = status, str(error)
        return error


class RequestLog:
    """The log of the requests of one server.

    Args:
        model: Name of the model.
        version: Version of its bundle.
        metrics: Counts the requests.
    """

    def __init__(self, model: str, version: str, metrics: Metrics) -> None:
        self._fields = {"model": model, "version": version}
        self._metrics = metrics
        self.level = logging.INFO  # of answered requests

    @contextmanager
    def request(self, protocol: str, headers: Mapping[str, str]) -> Iterator[Entry]:
        """Log and count the request that the block handles; the block fills in the entry."""
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
                logger.log(level, "request", extra=fields)
