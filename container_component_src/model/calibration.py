"""What the bundle says about the data that its model knows: the alarm threshold, and statistics of every channel."""

import numpy as np

from container_component_src.evaluation.scoring import GAP_SAMPLE, Smoother, default_max_gap
from container_component_src.model import scoring
from container_component_src.model.bundle_info import ChannelStatistics, Thresholds
from container_component_src.model.vae import TimeStampVAE
from container_component_src.telemetry.dataset import Dataset, Timestamps
from container_component_src.telemetry.scaling import Moments

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STATISTICS_ROWS = 200_000  # evenly spaced rows that quantiles are taken from


def calibrate(model: TimeStampVAE, val: Dataset, smoothing_window: int, quantile: float) -> Thresholds:
    """Take the alarm threshold from the validation scores, smoothed as scores are in operation.

    Args:
        model: Trained network.
        val: Validation rows; of them one score each stays in memory.
        smoothing_window: Time steps of the causal rolling median.
        quantile: Share of the validation rows that lie at or below the threshold.
    """
    max_gap_ns = default_max_gap(_first_timestamps(val))
    smoother = Smoother(smoothing_window, max_gap_ns)
    smoothed = np.empty(val.manifest.rows, dtype=np.float64)
    position = 0
    channel_nats = np.zeros(len(val.channels), dtype=np.float64)
    for frame in val.frames():
        part = slice(position, position + len(frame))
        parts = scoring.score_parts(model, frame.values)
        channel_nats += parts.sum(axis=0, dtype=np.float64)
        smoothed[part] = smoother.push(frame.timestamps, parts.sum(axis=1))
        position += len(frame)
    return Thresholds(
        score=float(np.quantile(smoothed, quantile, overwrite_input=True)),
        method="quantile of the smoothed validation scores",
        quantile=quantile,
        smoothing_window=smoothing_window,
        max_gap_ns=max_gap_ns,
        val_rows=val.manifest.rows,
        channel_nats=tuple((channel_nats / val.manifest.rows).tolist()),
    )


def channel_statistics(train: Dataset) -> dict[str, ChannelStatistics]:
    """Describe the training data channel by channel; quantiles from at most 200,000 evenly spaced rows."""
    moments = Moments(len(train.channels))
    stride = -(-train.manifest.rows // STATISTICS_ROWS)
    sample, offset = [], 0
    for frame in train.frames():
        moments.add(frame.values)
        sample.append(frame.values[-offset % stride :: stride].copy())
        offset += len(frame)
    quantiles = np.quantile(np.concatenate(sample), QUANTILES, axis=0, overwrite_input=True)
    return {
        name: ChannelStatistics(
            mean=float(moments.mean[column]),
            std=float(moments.std[column]),
            quantiles={str(level): float(quantiles[row, column]) for row, level in enumerate(QUANTILES)},
        )
        for column, name in enumerate(train.channels)
    }


def _first_timestamps(dataset: Dataset) -> Timestamps:
    """As many as tell the usual time step."""
    parts, rows = [], 0
    for frame in dataset.frames(channels=()):
        parts.append(frame.timestamps)
        rows += len(frame)
        if rows > GAP_SAMPLE:
            break
    return np.concatenate(parts)
