"""Facts about the data of a model for its bundle: the alarm threshold, and statistics of every channel."""

import logging

import numpy as np

from container_component_src.arrays import Float64Array
from container_component_src.model.bundle_info import ChannelStatistics, Thresholds
from container_component_src.model.network import Network
from container_component_src.model.scoring import MOST_DEPARTURE, RowScorer, SeriesScorer
from container_component_src.steps.training import TAIL_START, ThresholdMethod, TrainingArguments
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.scaling import Moments
from container_component_src.telemetry.series import EvenSample
from container_component_src.telemetry.smoothing import GAP_SAMPLE, Smoother, default_max_gap

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
STATISTICS_ROWS = 200_000  # maximum number of evenly spaced rows for quantiles
TAIL_SCORES = 10  # minimum number of different scores in the tail for a fit

logger = logging.getLogger(__name__)


def calibrate(model: Network, val: Dataset, arguments: TrainingArguments) -> Thresholds:
    """Derive the alarm threshold from the validation scores, which are smoothed as in operation.

    Args:
        model: Trained network.
        val: Validation set; one score of each row is kept in memory.
        arguments: Arguments of the training, with the smoothing and the method of the threshold.
    """
    max_gap_ns, spreads = max_gap(val), usual_departures(val)
    scorer = SeriesScorer(RowScorer.of(model, val.channels, spreads, max_gap_ns))
    smoother = new_smoother(arguments, max_gap_ns)
    smoothed = np.empty(val.manifest.rows, dtype=np.float64)
    position = 0
    channel_nats = np.zeros(len(val.channels), dtype=np.float64)
    for frame in val.frames():
        contributions = scorer.push(frame.timestamps, frame.values)
        channel_nats += contributions.sum(axis=0, dtype=np.float64)
        smoothed[position : position + len(frame)] = smoother.push(frame.timestamps, contributions.sum(axis=1))
        position += len(frame)
    score, method = alarm_threshold(smoothed, arguments.alarm_quantile, arguments.threshold_method)
    return Thresholds(
        score=score,
        method=f"{method.replace('_', ' ')} of the smoothed validation scores",
        quantile=arguments.alarm_quantile,
        smoothing=arguments.smoothing,
        smoothing_window=smoother.window,
        max_gap_ns=max_gap_ns,
        val_rows=val.manifest.rows,
        channel_nats=tuple((channel_nats / val.manifest.rows).tolist()),
        constant_spreads=spreads,
    )


def new_smoother(arguments: TrainingArguments, max_gap_ns: int | None) -> Smoother:
    """Return a smoother of scores as the arguments say; `max_gap_ns` is the longest time step that is not a gap."""
    return Smoother(arguments.smoothing, arguments.smoothing_window, max_gap_ns)


def usual_departures(val: Dataset) -> dict[str, float]:
    """Return the root mean square departure of each constant channel in the validation data, at least a resolution.

    A channel that is constant in the training data, but not in the validation data, changes in normal operation. Its
    departures must neither dominate the scores nor raise the threshold beyond those of all other channels.

    Args:
        val: Scaled validation dataset.

    Returns:
        Resolutions, by channel.
    """
    names = val.manifest.scaler.constant if val.manifest.scaler else ()
    squares = np.zeros(len(names))
    for frame in val.frames(channels=names) if names else ():
        departures = np.clip(frame.values, -MOST_DEPARTURE, MOST_DEPARTURE)
        squares += np.square(departures, dtype=np.float64).sum(axis=0)
    return dict(zip(names, np.sqrt(np.maximum(squares / val.manifest.rows, 1)).tolist(), strict=True))


def alarm_threshold(scores: Float64Array, quantile: float, method: ThresholdMethod) -> tuple[float, ThresholdMethod]:
    """Return the threshold in nats and the method that found it: `quantile` if the scores have no tail to fit."""
    if method == "peaks_over_threshold":
        found = tail_quantile(scores, quantile)
        if found is not None:
            return found, method
        logger.warning(
            "no distribution fits the highest %g %% of %d validation scores, so the threshold is their quantile %g; "
            "use more validation rows, or --threshold-method quantile",
            100 * (1 - TAIL_START),
            len(scores),
            quantile,
        )
    return float(np.quantile(scores, quantile)), "quantile"


def tail_quantile(scores: Float64Array, quantile: float) -> float | None:
    """Return a quantile of the scores by the peaks-over-threshold method; it may exceed the highest score.

    A generalised Pareto distribution is fitted by maximum likelihood to the excesses over a high score (Pickands 1975,
    "Statistical Inference Using Extreme Order Statistics"). Source of its use for alarm thresholds: Siffer et al. 2017,
    "Anomaly Detection in Streams with Extreme Value Theory".

    Args:
        scores: Shape [rows].
        quantile: Above `TAIL_START`.

    Returns:
        The quantile; None if the tail has too few different scores, does not reach down to the quantile, or has no fit.
    """
    start = float(np.quantile(scores, TAIL_START))
    excesses = scores[scores > start] - start
    share = (1 - quantile) * len(scores) / max(1, len(excesses))  # of the tail that is above the quantile
    if len(np.unique(excesses)) < TAIL_SCORES or share > 1:
        return None
    from scipy.stats import FitError, genpareto  # noqa: PLC0415 - slow, and only for this method

    try:
        shape, _, scale = genpareto.fit(excesses, floc=0)
    except FitError:
        return None
    found = start + float(genpareto.isf(share, shape, scale=scale))
    return found if np.isfinite(found) else None


def channel_statistics(train: Dataset) -> dict[str, ChannelStatistics]:
    """Return the distribution of each channel, with quantiles of at most `STATISTICS_ROWS` evenly spaced rows."""
    moments = Moments(len(train.channels))
    evenly, sample = EvenSample(train.manifest.rows, STATISTICS_ROWS), []
    for frame in train.frames():
        moments.add(frame.values)
        sample.append(frame.values[evenly.of(len(frame))].copy())
    quantiles = np.quantile(np.concatenate(sample), QUANTILES, axis=0, overwrite_input=True)
    return {
        name: ChannelStatistics(
            mean=float(moments.mean[column]),
            std=float(moments.std[column]),
            quantiles={str(level): float(quantiles[row, column]) for row, level in enumerate(QUANTILES)},
        )
        for column, name in enumerate(train.channels)
    }


def max_gap(dataset: Dataset) -> int | None:
    """Return the longest time step of a dataset in nanoseconds that is not a gap; None for fewer than two rows."""
    timestamps, rows = [], 0
    for frame in dataset.frames(channels=()):
        timestamps.append(frame.timestamps)
        rows += len(frame)
        if rows > GAP_SAMPLE:
            break
    return default_max_gap(np.concatenate(timestamps))
