"""What drives the module from outside: orbit, day and week, crew and payloads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.example_data.grid import Grid

ORBIT_S = 92 * 60.0
DAY_S = 86_400.0
BETA_CYCLE_S = 58 * DAY_S  # the angle between orbit and sun swings in about two months

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drivers:
    """Outside influences on the knots of a grid, each float64 of shape (knots,).

    Attributes:
        sun: Illumination of the shell, 0 in eclipse to 1.
        bus_voltage: Supply of fans and pumps, volts.
        metabolic: Crew in the module times their activity, in persons at rest by day.
        station_crew: Activity of the whole station, same unit per person.
        payload_power: Heat of the payloads, watts.
        set_temperature: Cabin temperature asked for by the crew, °C.
    """

    sun: FloatArray
    bus_voltage: FloatArray
    metabolic: FloatArray
    station_crew: FloatArray
    payload_power: FloatArray
    set_temperature: FloatArray


def drive(grid: Grid) -> Drivers:
    """Compute the outside influences on a grid."""
    orbit = np.sin(2 * np.pi * grid.time_s / ORBIT_S)
    beta = np.sin(2 * np.pi * grid.time_s / BETA_CYCLE_S)
    # Around high beta angles the eclipse shrinks; the penumbra makes the edge soft.
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


def _crew_schedule(grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Return how awake the crew is and whether it works in the module, both 0 to 1."""
    hour = grid.time_s % DAY_S / 3600
    weekday = (grid.time_s // DAY_S + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    awake = _between(hour, 6.0, 21.5, 0.3)
    rota = np.choose(weekday.astype(np.int64), [1.0, 1.0, 1.0, 1.0, 1.0, 0.45, 0.15])
    working = (_between(hour, 7.5, 13.0, 0.2) + _between(hour, 14.0, 19.0, 0.2)) * rota
    return awake, working


def _exercise(grid: Grid) -> FloatArray:
    """Return the extra activity of one or two exercise sessions of an hour on most days."""
    rng = grid.rng("exercise")
    day = (grid.time_s // DAY_S - grid.time_s[0] // DAY_S).astype(np.int64)
    hour = grid.time_s % DAY_S / 3600
    extra = np.zeros_like(hour)
    for _ in range(2):
        start = rng.uniform(7.5, 18.0, day[-1] + 1)[day]
        effort = (rng.uniform(0.8, 2.2, day[-1] + 1) * (rng.uniform(size=day[-1] + 1) < 0.6))[day]
        extra += effort * _between(hour, start, start + 1.0, 0.1)
    return extra


def _between(hour: FloatArray, start: FloatArray | float, end: FloatArray | float, edge: float) -> FloatArray:
    """Return 1 between two hours of the day and 0 elsewhere, with edges of the width given in hours."""
    return np.asarray(0.5 * (np.tanh((hour - start) / edge) - np.tanh((hour - end) / edge)), dtype=np.float64)
