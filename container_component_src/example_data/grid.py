"""The regular time grid of the simulation, and the building blocks of its signals."""

import numpy as np
import pandas as pd

from container_component_src.arrays import Float64Array
from container_component_src.example_data.seeding import stream

STEP_S = 120.0
SETTLING_S = 2 * 86_400.0  # simulated before the first row, so that transients of lags have ended


class Grid:
    """Knots every two minutes from two days before the first row of an archive to just after its last row.

    Signals are simulated at the knots and interpolated to the rows, so the cost depends on the period and not on the
    number of rows.

    Attributes:
        time_s: Times of the knots, seconds since 1970-01-01 UTC, shape [knots].
    """

    def __init__(self, seed: int, year: int, start_s: float, end_s: float) -> None:
        self._stream_path = (seed, year)
        first = start_s - SETTLING_S
        knots = np.arange(int((end_s - first) / STEP_S) + 2, dtype=np.float64)
        self.time_s: Float64Array = first + STEP_S * knots

    @property
    def days(self) -> Float64Array:
        """Days since the first knot, shape [knots]."""
        return np.asarray((self.time_s - self.time_s[0]) / 86_400.0, dtype=np.float64)

    def rng(self, name: str) -> np.random.Generator:
        """Return the random generator of one signal of this archive."""
        seed, year = self._stream_path
        return stream(seed, "grid", year, name)

    def lag(self, values: Float64Array, time_constant_s: float) -> Float64Array:
        """Return `values` after a first-order lag that starts in its steady state, shape [knots]."""
        decay = 1 - np.exp(-STEP_S / time_constant_s)
        return np.asarray(pd.Series(values).ewm(alpha=decay, adjust=False).mean().to_numpy(), dtype=np.float64)

    def noise(self, name: str, time_constant_s: float) -> Float64Array:
        """Return a first-order autoregressive process with mean 0 and variance 1, shape [knots]."""
        decay = 1 - np.exp(-STEP_S / time_constant_s)
        white = self.rng(name).standard_normal(len(self.time_s))
        # Lagged white noise has a variance of decay / (2 - decay), except for the first value.
        gain = np.sqrt((2 - decay) / decay)
        white[0] /= gain
        return np.asarray(self.lag(white, time_constant_s) * gain, dtype=np.float64)

    def levels(self, name: str, mean_days: float, choices: tuple[float, ...]) -> Float64Array:
        """Return a signal that jumps among `choices` after exponentially distributed times, shape [knots]."""
        rng = self.rng(name)
        span = self.days[-1]
        dwells = rng.exponential(mean_days, int(10 + 3 * span / mean_days))
        changes = np.cumsum(dwells)
        # Each change is to another level: a step of 1 to n-1 in the cyclic order of the choices.
        steps = rng.integers(1, len(choices), len(changes) + 1) if len(choices) > 1 else np.zeros(len(changes) + 1, int)
        level = np.cumsum(steps) % len(choices)
        return np.take(np.array(choices, dtype=np.float64), level[np.searchsorted(changes, self.days, side="right")])

    def ramp_with_resets(self, name: str, mean_days: float) -> Float64Array:
        """Return a ramp that rises by 1 in `mean_days` and resets to 0 at random times, shape [knots]."""
        rng = self.rng(name)
        span = self.days[-1]
        resets = np.cumsum(rng.uniform(0.6, 1.4, int(5 + 2 * span / mean_days)) * mean_days)
        resets = np.concatenate([[0.0], resets - rng.uniform() * resets[0]])
        since = self.days - resets[np.searchsorted(resets, self.days, side="right") - 1]
        return np.asarray(since / mean_days, dtype=np.float64)
