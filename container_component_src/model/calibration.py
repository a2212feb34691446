"""What the bundle says about the data that its model knows: the alarm threshold, and statistics of every channel."""

import numpy as np
import numpy.typing as npt
from scipy.stats import genpareto

from container_component_src.errors import InputError
from container_component_src.model.bundle_info import ChannelStatistics, Thresholds
from container_component_src.model.scoring import SeriesScorer
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaling import Moments
from container_component_src.telemetry.smoothing import GAP_SAMPLE, Smoother, default_max_gap

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STATISTICS_ROWS = 200_000  # evenly spaced rows that quantiles are taken from
TAIL_START = 0.98  # quantile of the scores above which they are the tail
TAIL_SCORES = 10  # different ones that a fit needs
_ELSE = "or use --threshold-method quantile"


def calibrate(model: TimeStampVAE, val: Dataset, arguments: TrainingArguments) -> Thresholds:
    """Take the alarm threshold from the validation scores, smoothed as scores are in operation.

    Args:
        model: Trained network.
        val: Validation rows; of them one score each stays in memory.
        arguments: Of the training; they say how scores are smoothed and which threshold is wanted.

    Raises:
        InputError: The tail of the scores has no distribution that can be fitted.
    """
    max_gap_ns = longest_step(val)
    scorer = SeriesScorer(model, max_gap_ns)
    smoother = Smoother(arguments.smoothing_window, max_gap_ns)
    smoothed = np.empty(val.manifest.rows, dtype=np.float64)
    position = 0
    channel_nats = np.zeros(len(val.channels), dtype=np.float64)
    for frame in val.frames():
        part = slice(position, position + len(frame))
        parts = scorer.push(frame.timestamps, frame.values)
        channel_nats += parts.sum(axis=0, dtype=np.float64)
        smoothed[part] = smoother.push(frame.timestamps, parts.sum(axis=1))
        position += len(frame)
    quantile, method = arguments.alarm_quantile, arguments.threshold_method
    by_tail = method == "peaks_over_threshold"
    return Thresholds(
        score=tail_quantile(smoothed, quantile) if by_tail else float(np.quantile(smoothed, quantile)),
        method=f"{method.replace('_', ' ')} of the smoothed validation scores",
        quantile=quantile,
        smoothing_window=arguments.smoothing_window,
        max_gap_ns=max_gap_ns,
        val_rows=val.manifest.rows,
        channel_nats=tuple((channel_nats / val.manifest.rows).tolist()),
    )


def tail_quantile(scores: npt.NDArray[np.float64], quantile: float) -> float:
    """A quantile by extreme value theory, which may lie beyond the highest score.

    The excesses over a high score follow a generalised Pareto distribution (Pickands 1975, "Statistical Inference Using
    Extreme Order Statistics"), fitted here by maximum likelihood; as a threshold for alarms: Siffer et al. 2017,
    "Anomaly Detection in Streams with Extreme Value Theory".

    Args:
        scores: Shape [rows].
        quantile: Above `TAIL_START`.

    Raises:
        InputError: The quantile is not in the tail, or the tail holds too few different scores.
    """
    if quantile <= TAIL_START:
        raise InputError(
            f"alarm quantile {quantile} is not above {TAIL_START}, where the tail begins; raise it, {_ELSE}"
        )
    start = float(np.quantile(scores, TAIL_START))
    excesses = scores[scores > start] - start
    if len(np.unique(excesses)) < TAIL_SCORES:
        raise InputError(
            f"fewer than {TAIL_SCORES} validation scores lie in the tail; use more validation rows, {_ELSE}"
        )
    shape, _, scale = genpareto.fit(excesses, floc=0)
    return start + float(genpareto.isf((1 - quantile) * len(scores) / len(excesses), shape, scale=scale))


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


def longest_step(dataset: Dataset) -> int | None:
    """The longest time step in nanoseconds that is not a gap, or None for fewer than two rows."""
    parts, rows = [], 0
    for frame in dataset.frames(channels=()):
        parts.append(frame.timestamps)
        rows += len(frame)
        if rows > GAP_SAMPLE:
            break
    return default_max_gap(np.concatenate(parts))
