"""Reported anomalies as half-open intervals of time."""

from container_component_src.values import Frozen


class Event(Frozen):
    """One reported anomaly: [start, end) in nanoseconds since 1970 UTC."""

    id: str
    symbol: str = ""
    title: str = ""
    start: int
    end: int
