"""Schedule of the faults: kinds, times, severities, and the rise and fall of each fault."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.example_data.seeding import stream
from container_component_src.example_data.timeline import Timeline

NS_PER_S = 1_000_000_000
MIN_DURATION_S, MAX_DURATION_S = 20 * 60, 24 * 3600
MIN_ROWS = 6
MIN_SEVERITY = 0.25  # the maximum is 1
MAX_SHARE = 0.4  # of the rows that are reserved for an event


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: Key of the fault in the simulation.
        symbol: Subsystem in the report.
        title: Title in the report.
    """

    name: str
    symbol: str
    title: str


KINDS = (
    Kind("cabin_leak", "ECLSS-CAB", "Cabin pressure decay above nominal leak rate"),
    Kind("fan_degradation", "ECLSS-CFA", "Cabin fan assembly current high, speed sagging"),
    Kind("stuck_valve", "ECLSS-TCV", "Temperature control valve not following its command"),
    Kind("sensor_drift", "ECLSS-INS", "Sensor disagrees with its redundant partner"),
    Kind("pump_trip", "TCS-WPA", "Water pump assembly speed loss"),
    Kind("coolant_flow_loss", "TCS-LOOP", "Coolant loop flow and accumulator level low"),
    Kind("co2_removal_loss", "ECLSS-AR", "Carbon dioxide removal degraded"),
    Kind("separator_flooding", "ECLSS-CWSA", "Condensate separator flooding"),
    Kind("imv_blockage", "ECLSS-IMV", "Inter-module ventilation flow low"),
    Kind("filter_clogging", "ECLSS-FLT", "Cabin air filter pressure drop rising"),
    Kind("valve_hunting", "ECLSS-TCV", "Temperature control valve oscillating"),
)

DRIFTING_SENSORS = ("po2_1", "pco2_2", "cabin_temp_2", "humidity", "loop_supply_temp", "total_press_2")


@dataclass(frozen=True)
class Event:
    """One fault, which is reported as an anomaly.

    Attributes:
        kind: Kind of fault.
        start_ns: Start (inclusive), a whole second, nanoseconds since 1970-01-01 UTC.
        end_ns: End (exclusive), a whole second, nanoseconds since 1970-01-01 UTC.
        severity: Maximum strength, from above 0 (similar to noise) to 1 (obvious).
        onset: Fraction of the duration in which the strength rises.
        recovery: Fraction of the duration, at its end, in which the strength falls.
        ripple: Fraction (0 to 1) by which the strength falls in every other half period of the ripple.
        ripple_period_s: Period of the ripple, seconds.
        sensor: Drifting signal, for the kind `sensor_drift`.
    """

    kind: Kind
    start_ns: int
    end_ns: int
    severity: float
    onset: float
    recovery: float
    ripple: float
    ripple_period_s: float
    sensor: str

    def strength(self, time_s: Float64Array) -> Float64Array:
        """Return the strength at times in seconds since 1970-01-01 UTC, same shape; 0 outside the event."""
        start, end = self.start_ns / NS_PER_S, self.end_ns / NS_PER_S
        position = (time_s - start) / (end - start)
        trapezium = np.clip(np.minimum(position / self.onset, (1 - position) / self.recovery), 0, 1)
        on_off = 1 - self.ripple * (np.sin(2 * np.pi * (time_s - start) / self.ripple_period_s) > 0)
        return np.asarray(self.severity * trapezium * on_off, dtype=np.float64)


class Faults:
    """Strength of every kind of fault on a time grid."""

    def __init__(self, events: list[Event], time_s: Float64Array) -> None:
        self._events = events
        self._time_s = time_s

    def strength(self, kind: str) -> Float64Array:
        """Return the strength of one kind of fault at the grid times, 0 where it is absent."""
        return self._sum(lambda event: event.kind.name == kind)

    def drift(self, sensor: str) -> Float64Array:
        """Return the strength of the drift of one sensor at the grid times."""
        return self._sum(lambda event: event.kind.name == "sensor_drift" and event.sensor == sensor)

    def hold(self, kind: str, values: Float64Array) -> Float64Array:
        """Return `values`, which each event of a kind mixes with the value at its start.

        The strength is the weight of the value at the start: at 1 the signal is stuck, below 1 it follows partly.
        """
        held = values.copy()
        for event in self._events:
            if event.kind.name == kind:
                share = event.strength(self._time_s)
                first = np.searchsorted(self._time_s, event.start_ns / NS_PER_S)
                held += share * (values[min(int(first), len(values) - 1)] - values)
        return held

    def _sum(self, chosen: Callable[[Event], bool]) -> Float64Array:
        total = np.zeros_like(self._time_s)
        for event in self._events:
            if chosen(event):
                total += event.strength(self._time_s)
        return total


def schedule(seed: int, year: int, timeline: Timeline, kinds: list[Kind], severities: Float64Array) -> list[Event]:
    """Return one event for each kind, in order of time, without overlap and with rows.

    The rows are divided evenly among the events. An event starts at a random row of its part and ends at another, so
    that it is never inside a gap. Durations are log-uniform from 20 minutes to a day, and at most 40 % of the part.
    """
    rng = stream(seed, "events", year)
    share = timeline.rows / max(1, len(kinds))
    longest = int(share * MAX_SHARE)
    events = []
    for number, (kind, severity) in enumerate(zip(kinds, severities, strict=True)):
        duration_s = np.exp(rng.uniform(np.log(MIN_DURATION_S), np.log(MAX_DURATION_S)))
        covered = int(np.clip(duration_s * NS_PER_S // timeline.interval_ns, MIN_ROWS, longest))
        # One row on each side is not used, so that events are never adjacent.
        first = int(share * number + 1 + rng.uniform() * (share - covered - 3))
        start, end = timeline.times_ns(np.array([first, first + covered]))
        events.append(
            Event(
                kind=kind,
                start_ns=int(start // NS_PER_S * NS_PER_S),
                end_ns=int(-(-end // NS_PER_S) * NS_PER_S),
                severity=float(severity),
                onset=rng.uniform(0.05, 0.6),
                recovery=rng.uniform(0.03, 0.2),
                ripple=float(rng.choice([0.0, 0.0, 0.0, 0.5])),
                ripple_period_s=rng.uniform(900, 5400),
                sensor=str(rng.choice(DRIFTING_SENSORS)),
            )
        )
    return events


def draw_kinds(seed: int, count: int) -> tuple[list[Kind], Float64Array]:
    """Return kinds and severities of all events.

    The numbers of events of each kind differ by at most one. Severities are evenly spaced on a logarithmic scale.
    """
    rng = stream(seed, "kinds")
    kinds = [KINDS[index % len(KINDS)] for index in range(count)]
    order = rng.permutation(count)
    severities = np.exp(np.linspace(np.log(MIN_SEVERITY), 0.0, count))
    return [kinds[index] for index in order], rng.permutation(severities)
