"""Metrics of the programs that are not servers."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


def other_programs() -> tuple[CollectorRegistry, Callable[[], None]]:
    """Metrics of a stream and a check for drift, and what lets the stream go on."""
    registry = CollectorRegistry()
    counters = [Counter(f"anomaly_stream_{name}", "x", registry=registry) for name in ("rows", "alarms")]
    counters += [
        Counter(f"anomaly_payload_{name}rows", "x", ["inferenceservice"], registry=registry).labels("e")
        for name in ("", "dropped_")
    ]
    dropped = Counter("anomaly_stream_dropped_rows", "x", ["reason"], registry=registry)
    latency = Histogram("anomaly_stream_latency_seconds", "x", registry=registry)
    for name in (
        "stream_open_alarms",
        "stream_buffered_rows",
        "stream_last_row_timestamp_seconds",
        "stream_dead_channels",
        "drift_exceeded",
        "drift_channels",
        "drift_checked_timestamp_seconds",
    ):
        Gauge(f"anomaly_{name}", "x", registry=registry).set(1)
    Gauge("anomaly_drift_psi", "x", ["channel"], registry=registry).labels("fan").set(0.5)

    def go_on() -> None:
        for counter in counters:
            counter.inc()
        dropped.labels("late").inc()
        latency.observe(0.1)

    return registry, go_on
