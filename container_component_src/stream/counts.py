"""What a stream counts, for its log, its state and Prometheus."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import prometheus_client as prometheus

Reason = Literal["late", "duplicate", "malformed", "missing"]
REASONS: tuple[Reason, ...] = ("late", "duplicate", "malformed", "missing")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NANOSECONDS = 1e9


class Counts:
    """Counts rows and alarms.

    Args:
        buffered: Returns the rows that wait.

    Attributes:
        registry: The metrics of this process.
        totals: Numbers since the first start of the stream: `rows`, `alarms`, and dropped rows by reason.
    """

    def __init__(self, buffered: Callable[[], int]) -> None:
        self.totals: Counter[str] = Counter()
        self.registry = registry = prometheus.CollectorRegistry()
        prefix = "anomaly_stream"
        self._rows = prometheus.Counter(f"{prefix}_rows", "Rows scored.", registry=registry)
        self._dropped = prometheus.Counter(
            f"{prefix}_dropped_rows", "Rows not scored, by reason.", ["reason"], registry=registry
        )
        for reason in REASONS:
            self._dropped.labels(reason)
        self._alarms = prometheus.Counter(f"{prefix}_alarms", "Alarms raised.", registry=registry)
        self._open = prometheus.Gauge(f"{prefix}_open_alarms", "Alarms that go on.", registry=registry)
        self._latency = prometheus.Histogram(
            f"{prefix}_latency_seconds",
            "Time from the reading of a row until its events are written.",
            buckets=_SECONDS,
            registry=registry,
        )
        waiting = prometheus.Gauge(f"{prefix}_buffered_rows", "Rows that wait to be scored.", registry=registry)
        waiting.set_function(buffered)
        self._last = prometheus.Gauge(
            f"{prefix}_last_row_timestamp_seconds", "Time of the last row, as seconds since 1970.", registry=registry
        )
        self._dead = prometheus.Gauge(
            f"{prefix}_dead_channels", "Channels that have been missing for too long.", registry=registry
        )

    def resume(self, totals: Mapping[str, int]) -> None:
        """Go on with the totals of an earlier process."""
        self.totals.update(totals)

    def dropped(self, reason: Reason) -> None:
        """Count a row that is not scored."""
        self.totals[reason] += 1
        self._dropped.labels(reason).inc()

    def scored(self, rows: int, last: int, dead: int) -> None:
        """Count scored rows, the last of which is at a time in nanoseconds and has dead channels."""
        self.totals["rows"] += rows
        self._rows.inc(rows)
        self._last.set(last / _NANOSECONDS)
        self._dead.set(dead)

    def alarms(self, opened: int, goes_on: bool) -> None:
        """Count raised alarms."""
        self.totals["alarms"] += opened
        self._alarms.inc(opened)
        self._open.set(goes_on)

    def latency(self, seconds: float) -> None:
        """Count the time that a row took."""
        self._latency.observe(seconds)

    @contextmanager
    def served(self, host: str, port: int | None) -> Iterator[None]:
        """Serve the metrics on a port while the block runs, if there is a port."""
        if port is None:
            yield
            return
        server, thread = prometheus.start_http_server(port, host, self.registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def __str__(self) -> str:
        dropped = [f"{self.totals[reason]:,} {reason}" for reason in REASONS if self.totals[reason]]
        left_out = f" ({', '.join(dropped)} not scored)" if dropped else ""
        return f"{self.totals['rows']:,} rows{left_out}, {self.totals['alarms']:,} alarms"
