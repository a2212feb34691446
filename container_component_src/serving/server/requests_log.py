"""One log line per request, and its count in the metrics."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from container_component_src.serving.server.metrics import Metrics
from container_component_src.serving.server.refusals import status_of

logger = logging.getLogger(__name__)


@dataclass
class Entry:
    """The outcome of a request."""

    status: int = int(HTTPStatus.OK)
    rows: int = 0
    alarms: int = 0
    error: str = ""

    def answered(self, rows: int, alarms: int) -> None:
        """Record the rows of the answer."""
        self.rows, self.alarms = rows, alarms


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
        self.level = logging.INFO  # of requests that did not fail

    @contextmanager
    def request(self, protocol: str, headers: Mapping[str, str]) -> Iterator[Entry]:
        """Log and count the request that the block handles; an error of the block is its outcome, and goes on."""
        entry, start = Entry(), time.perf_counter()
        try:
            yield entry
        except Exception as error:
            entry.status, entry.error = status_of(error), str(error)
            raise
        except BaseException:  # the server stops
            entry.status = int(HTTPStatus.SERVICE_UNAVAILABLE)
            raise
        finally:
            seconds = time.perf_counter() - start
            self._metrics.request(protocol, entry.status, seconds)
            level = self.level if entry.status < HTTPStatus.INTERNAL_SERVER_ERROR else logging.ERROR
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
