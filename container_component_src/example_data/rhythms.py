"""External influences on the module: orbit, time of day, day of the week, crew and payloads."""

from dataclasses import dataclass

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.example_data.grid import Grid

ORBIT_S = 92 * 60.0
DAY_S = 86_400.0
BETA_CYCLE_S = 58 * DAY_S  # period of the angle between orbit and sun


@dataclass(frozen=True)
class Drivers:
    """External influences at the knots of a grid, each of shape [knots].

    Attributes:
        sun: Illumination of the shell, from 0 in eclipse to 1.
        bus_voltage: Supply voltage of fans and pumps, volts.
        metabolic: Heat and gas exchange of the crew in the module, in multiples of a person at rest by day.
        station_crew: Activity of the crew of the whole station, same unit per person.
        payload_power: Heat output of the payloads, watts.
        set_temperature: Cabin temperature that the crew selected, °C.
    """

    sun: Float64Array
    bus_voltage: Float64Array
    metabolic: Float64Array
    station_crew: Float64Array
    payload_power: Float64Array
    set_temperature: Float64Array


def drive(grid: Grid) -> Drivers:
    """Return the external influences on a grid."""
    orbit = np.sin(2 * np.pi * grid.time_s / ORBIT_S)
    beta = np.sin(2 * np.pi * grid.time_s / BETA_CYCLE_S)
    # Eclipses are shorter at high beta angles, and the penumbra smooths their edges.
    sun = 0.5 + 0.5 * np.tanh(4 * (orbit + 0.25 + 0.5 * beta))
    awake, working = _crew_schedule(grid)
    present = grid.levels("crew_present", 0.12, (0.0, 1.0, 1.0, 2.0, 3.0))
    metabolic = awake * (0.25 + working * present) + _exercise(grid) + 0.15
    payload = grid.levels("payload", 0.4, (250.0, 420.0, 600.0, 850.0, 1250.0)) * (0.65 + 0.35 * working)
    return Drivers(
        sun=sun,
        bus_voltage=121.5 + 2.4 * grid.lag(sun, 300) + 0.35 * grid.noise("bus_voltage", 600),
        metabolic=np.maximum(0.05, grid.lag(metabolic, 600) * (1 + 0.06 * grid.noise("metabolic", 1800))),
        station_crew=grid.lag(0.5 + 0.5 * awake, 3600),
        payload_power=grid.lag(payload, 900) * (1 + 0.02 * grid.noise("payload_power", 1200)),
        set_temperature=grid.lag(grid.levels("set_temperature", 11, (22.0, 22.6, 23.2, 24.0)), 2 * 3600),
    )


def _crew_schedule(grid: Grid) -> tuple[Float64Array, Float64Array]:
    """Return to what degree the crew is awake and works in the module, both from 0 to 1, shape [knots]."""
    hour = grid.time_s % DAY_S / 3600
    weekday = (grid.time_s // DAY_S + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    awake = _between(hour, 6.0, 21.5, 0.3)
    rota = np.choose(weekday.astype(np.int64), [1.0, 1.0, 1.0, 1.0, 1.0, 0.45, 0.15])
    working = (_between(hour, 7.5, 13.0, 0.2) + _between(hour, 14.0, 19.0, 0.2)) * rota
    return awake, working


def _exercise(grid: Grid) -> Float64Array:
    """Return the additional activity of up to two exercise sessions of one hour a day, shape [knots]."""
    rng = grid.rng("exercise")
    day = (grid.time_s // DAY_S - grid.time_s[0] // DAY_S).astype(np.int64)
    hour = grid.time_s % DAY_S / 3600
    extra = np.zeros_like(hour)
    for _ in range(2):
        start = rng.uniform(7.5, 18.0, day[-1] + 1)[day]
        effort = (rng.uniform(0.8, 2.2, day[-1] + 1) * (rng.uniform(size=day[-1] + 1) < 0.6))[day]
        extra += effort * _between(hour, start, start + 1.0, 0.1)
    return extra


def _between(hour: Float64Array, start: Float64Array | float, end: Float64Array | float, edge: float) -> Float64Array:
    """Return 1 between two hours of the day and 0 at other times, with smooth edges of a width in hours."""
    return np.asarray(0.5 * (np.tanh((hour - start) / edge) - np.tanh((hour - end) / edge)), dtype=np.float64)
