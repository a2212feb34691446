"""Telemetry of three slow channels, and a model that knows how they are distributed."""

import numpy as np

from container_component_src.arrays import Float64Array, Timestamps
from container_component_src.drift.detection import Rows
from container_component_src.model.bundle_info import BundleInfo, ChannelStatistics
from container_component_src.telemetry.distribution import Distribution
from tests.serving.bundles import CHANNELS, SCALER, bundle_info

MINUTE = 60 * 10**9
DAY = 1_440 * MINUTE
START = 1_700_006_400 * 10**9  # midnight
REFERENCE_ROWS, ROWS = 40_000, 8_000
SLOWNESS = 0.95  # correlation of neighbouring rows


def autoregressive(rows: int, channels: int, seed: int, correlation: float = SLOWNESS) -> Float64Array:
    """Series with a standard normal distribution, [rows, channels]."""
    noise = np.random.default_rng(seed).standard_normal((rows, channels))
    noise[1:] *= np.sqrt(1 - correlation**2)
    series = noise
    for row in range(1, rows):
        series[row] += correlation * series[row - 1]
    return series


def times(rows: int, start: int = START) -> Timestamps:
    return start + MINUTE * np.arange(rows)


def reference(values: Float64Array) -> Distribution:
    return Distribution.of(times(len(values)), values)


def info_with_references(with_scores: bool = False, **settings: object) -> BundleInfo:
    """Return a bundle's description; the scores are distributed as the first channel."""
    series = autoregressive(REFERENCE_ROWS, len(CHANNELS), seed=1)
    statistics = {
        name: ChannelStatistics(mean=0, std=1, quantiles={}, distribution=reference(column))
        for name, column in zip(CHANNELS, series.T, strict=True)
    }
    info = bundle_info(**settings)  # type: ignore[arg-type]
    scores = reference(series[:, 0]) if with_scores else None
    calibration = info.calibrated.model_copy(update={"scores": scores})
    return info.model_copy(update={"channel_statistics": statistics, "calibration": calibration})


def engineering(scaled: Float64Array) -> Float64Array:
    return np.array(SCALER.centre) + np.array(SCALER.scale) * scaled


def normal_rows(seed: int = 2) -> Rows:
    return Rows(times(ROWS), engineering(autoregressive(ROWS, len(CHANNELS), seed)))
