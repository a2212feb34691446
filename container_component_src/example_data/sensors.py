"""Conversion of signals on the grid to rows of telemetry: interpolation, noise, quantisation and missing values."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from container_component_src.arrays import Float32Array, Float64Array, IntArray
from container_component_src.example_data.channels import Channel
from container_component_src.example_data.grid import STEP_S, Grid
from container_component_src.example_data.physics import Signals
from container_component_src.example_data.seeding import stream
from container_component_src.example_data.timeline import Timeline

BLOCK_ROWS = 16_384  # block for which noise is drawn, independent of row groups
WANDER_S = 1800.0
MISSING_RUNS = 4  # per archive
FLAKY_CHANNELS = 3
FLAW_PROBABILITY = 0.3  # per block and flaky channel
MODES = np.array(["NOMINAL", "HIGH_COOLING", "LOW_COOLING"], dtype=object)


class Sensors:
    """Generator of the rows of one archive; each block of rows is independent of the others.

    Args:
        seed: Seed of the noise.
        year: Year of the archive.
        channels: Float columns to generate.
        timeline: Times of the rows.
        grid: Grid of the signals.
        signals: Signals without noise at the knots of the grid.
        timestamp_col: Name of the timestamp column.
    """

    def __init__(
        self,
        seed: int,
        year: int,
        channels: list[Channel],
        timeline: Timeline,
        grid: Grid,
        signals: Signals,
        timestamp_col: str,
    ) -> None:
        self._stream_path = (seed, year)
        self._channels = channels
        self._timeline = timeline
        self._grid_start_s = float(grid.time_s[0])
        names = [channel.signal for channel in channels if channel.rack == 1]
        self._signals = np.stack([signals[name].astype(np.float32) for name in names])
        self._units = {name: signals[name].astype(np.int32) for name in ("cfa_unit", "wpa_unit")}
        self._valve = signals["valve_command"].astype(np.float32)
        self._calibrate(len(grid.time_s))
        self._missing = self._draw_missing_runs()
        self.schema = pa.schema(
            [pa.field(timestamp_col, pa.timestamp("ns", tz="UTC"), nullable=False)]
            + [(channel.name, pa.float64() if channel.dtype == "float64" else pa.float32()) for channel in channels]
            + [("ECLSS_CFA_ACTIVE_UNIT", pa.int32()), ("TCS_WPA_ACTIVE_UNIT", pa.int32())]
            + [("TCS_CONTROL_MODE", pa.string())]
        )

    def tables(self) -> Iterator[pa.Table]:
        """Yield all rows in order, in tables of `BLOCK_ROWS` rows and a shorter last one."""
        for block in range(-(-self._timeline.rows // BLOCK_ROWS)):
            yield self._table(block)

    def _calibrate(self, knots: int) -> None:
        """Draw the properties of each sensor: gain, offset, and slow wander on a coarse grid."""
        seed, year = self._stream_path
        count = len(self._channels)
        self._source = np.arange(count) % len(self._signals)
        # The sensors are the same in every year; only those of further racks have a gain and an offset.
        draw = stream(seed, "calibration").standard_normal((count, 2))
        further = np.array([channel.rack > 1 for channel in self._channels])
        spread = self._signals.std(axis=1)[self._source]
        self._gain = (1 + 0.02 * further * draw[:, 0]).astype(np.float32)[:, None]
        self._offset = (0.1 * further * spread * draw[:, 1]).astype(np.float32)[:, None]
        self._noise = np.array([channel.noise for channel in self._channels], dtype=np.float32)[:, None]
        self._resolution = np.array([channel.resolution for channel in self._channels], dtype=np.float32)[:, None]
        scale = np.array([channel.wander for channel in self._channels], dtype=np.float32)[:, None]
        coarse = int(knots * STEP_S / WANDER_S) + 3
        white = stream(seed, "wander", year).standard_normal((count, coarse + 3), dtype=np.float32)
        # Half the sum over four half hours has a variance of 1.
        half_sum = sliding_window_view(white, 4, axis=1).sum(axis=2) / 2
        self._wander: Float32Array = scale * half_sum.astype(np.float32, copy=False)

    def _draw_missing_runs(self) -> list[tuple[int, int, int]]:
        """Draw runs of missing values as (channel, first row, row after the last)."""
        seed, year = self._stream_path
        rng = stream(seed, "missing", year)
        rows = self._timeline.rows
        runs = []
        for _ in range(MISSING_RUNS):
            channel = int(rng.uniform() * min(len(self._channels), len(self._signals)))
            length = min(int(np.exp(rng.uniform(np.log(10), np.log(400)))), rows // 50)
            first = int(rng.uniform() * (rows - length))
            runs.append((channel, first, first + length))
        return runs

    def _table(self, block: int) -> pa.Table:
        first = block * BLOCK_ROWS
        rows = np.arange(first, min(first + BLOCK_ROWS, self._timeline.rows))
        times = self._timeline.times_ns(rows)
        since_s = times / 1e9 - self._grid_start_s
        values = self._values(block, len(rows), since_s)
        for channel, start, stop in self._missing:
            values[channel, max(0, start - first) : max(0, stop - first)] = np.nan
        knot = (since_s / STEP_S).astype(np.int64)
        columns = [pa.array(times).cast(self.schema.field(0).type)]
        columns += [
            pa.array(row.astype(channel.dtype, copy=False)) for row, channel in zip(values, self._channels, strict=True)
        ]
        columns += [pa.array(self._units[name][knot]) for name in ("cfa_unit", "wpa_unit")]
        columns += [pa.array(MODES[self._mode(knot)])]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _mode(self, knot: IntArray) -> IntArray:
        command = self._valve[knot]
        return np.asarray(np.where(command > 70, 1, np.where(command < 30, 2, 0)), dtype=np.int64)

    def _values(self, block: int, count: int, since_s: Float64Array) -> Float32Array:
        """Return the channels of a block, shape [channels, count]."""
        seed, year = self._stream_path
        rng = stream(seed, "noise", year, block)
        # Always a whole block, channel by channel: values do not change with a longer archive or more channels.
        values = rng.standard_normal((len(self._channels), BLOCK_ROWS), dtype=np.float32)[:, :count]
        values *= self._noise
        values += self._offset
        values += interpolate(self._wander, since_s / WANDER_S)
        values += self._gain * interpolate(self._signals, since_s / STEP_S)[self._source]
        self._add_flaws(values, stream(seed, "flaws", year, block))
        # Multiples of the resolution, as from the converter of a real sensor; they compress well.
        values /= self._resolution
        np.rint(values, out=values)
        values *= self._resolution
        return values

    def _add_flaws(self, values: Float32Array, rng: np.random.Generator) -> None:
        """Add rare single spikes and missing values to a few channels in place; they are not reported as anomalies."""
        count = values.shape[1]
        for flaw in range(FLAKY_CHANNELS):
            happens, missing, size = rng.uniform(size=3)
            row = int(rng.integers(BLOCK_ROWS))
            channel = (5 + 13 * flaw) % len(values)
            if happens < FLAW_PROBABILITY and row < count:
                values[channel, row] += np.nan if missing < 0.5 else (10 + 20 * size) * self._noise[channel, 0]


def interpolate(knots: Float32Array, position: Float64Array) -> Float32Array:
    """Interpolate linearly between knots.

    Args:
        knots: Values at positions 0, 1, 2 …, shape [signals, knots].
        position: Positions, ascending, at least 0 and below knots - 1, shape [rows].

    Returns:
        Shape [signals, rows].
    """
    index = position.astype(np.int64)
    first = int(index[0])
    window = knots[:, first : int(index[-1]) + 2]
    index -= first
    weight = (position - np.floor(position)).astype(np.float32)
    low = np.take(window, index, axis=1)
    rise = np.take(np.diff(window, axis=1), index, axis=1)
    rise *= weight
    rise += low
    return rise
