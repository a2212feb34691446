"""The regular time grid on which the physics runs, with the building blocks of its signals."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from container_component_src.example_data.seeding import stream

STEP_S = 120.0
SETTLING_S = 2 * 86_400.0  # simulated before the first row, so that no lag shows its start

FloatArray = npt.NDArray[np.float64]


class Grid:
    """Knots every two minutes from two days before an archive's first row to just after its last.

    The physics is evaluated on the knots and interpolated to the rows: its cost follows the time covered, not the
    number of rows.

    Attributes:
        time_s: Times of the knots, seconds since 1970 in UTC, float64 of shape (knots,).
    """

    def __init__(self, seed: int, year: int, start_s: float, end_s: float) -> None:
        self._stream_path = (seed, year)
        first = start_s - SETTLING_S
        knots = np.arange(int((end_s - first) / STEP_S) + 2, dtype=np.float64)
        self.time_s: FloatArray = first + STEP_S * knots

    @property
    def days(self) -> FloatArray:
        """Days since the first knot."""
        return np.asarray((self.time_s - self.time_s[0]) / 86_400.0, dtype=np.float64)

    def rng(self, name: str) -> np.random.Generator:
        """Return the random stream of one signal of this archive."""
        seed, year = self._stream_path
        return stream(seed, "grid", year, name)

    def lag(self, values: FloatArray, time_constant_s: float) -> FloatArray:
        """Return `values` behind a first-order lag, in the steady state at the first knot."""
        decay = 1 - np.exp(-STEP_S / time_constant_s)
        return np.asarray(pd.Series(values).ewm(alpha=decay, adjust=False).mean().to_numpy(), dtype=np.float64)

    def noise(self, name: str, time_constant_s: float) -> FloatArray:
        """Return a first-order autoregressive process of mean 0 and variance 1."""
        decay = 1 - np.exp(-STEP_S / time_constant_s)
        white = self.rng(name).standard_normal(len(self.time_s))
        # The variance of the lagged white noise is decay / (2 - decay); the first value is drawn from it.
        gain = np.sqrt((2 - decay) / decay)
        white[0] /= gain
        return np.asarray(self.lag(white, time_constant_s) * gain, dtype=np.float64)

    def levels(self, name: str, mean_days: float, choices: tuple[float, ...]) -> FloatArray:
        """Return a random telegraph among `choices`, with exponential dwell times of the mean given."""
        rng = self.rng(name)
        span = self.days[-1]
        dwells = rng.exponential(mean_days, int(10 + 3 * span / mean_days))
        changes = np.cumsum(dwells)
        # Each change goes to another level: steps of 1 .. n-1 around the ring of choices.
        steps = rng.integers(1, len(choices), len(changes) + 1) if len(choices) > 1 else np.zeros(len(changes) + 1, int)
        level = np.cumsum(steps) % len(choices)
        return np.take(np.array(choices, dtype=np.float64), level[np.searchsorted(changes, self.days, side="right")])

    def ramp_with_resets(self, name: str, mean_days: float) -> FloatArray:
        """Return a ramp that gains 1 in `mean_days` and falls back to 0 after random times around that."""
        rng = self.rng(name)
        span = self.days[-1]
        resets = np.cumsum(rng.uniform(0.6, 1.4, int(5 + 2 * span / mean_days)) * mean_days)
        resets = np.concatenate([[0.0], resets - rng.uniform() * resets[0]])
        since = self.days - resets[np.searchsorted(resets, self.days, side="right") - 1]
        return np.asarray(since / mean_days, dtype=np.float64)
