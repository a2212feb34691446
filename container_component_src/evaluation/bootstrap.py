"""Confidence intervals of the metrics by a block bootstrap over the events.

Neighbouring rows are nearly equal, so the bootstrap draws blocks of rows instead of single rows (Künsch 1989, "The
Jackknife and the Bootstrap for General Stationary Observations"). A block is an event with the normal rows nearest to
it. Each resample draws as many blocks as there are, with replacement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.metrics import harmonic_mean
from container_component_src.evaluation.result import Interval

RESAMPLES = 1_000
CONFIDENCE = 0.95
BINS = 4_000  # of the ranks of the scores; the areas are off by less than 0.001


@dataclass(frozen=True)
class Resamples:
    """Metrics of every resample, [resamples] each; NaN if a metric is undefined for a resample."""

    values: Mapping[str, Float64Array]

    def intervals(self) -> dict[str, Interval]:
        """Return percentile intervals of the metrics that are defined for at least one resample."""
        return {name: percentile_interval(values) for name, values in self.values.items() if np.isfinite(values).any()}

    def differences(self, other: "Resamples") -> dict[str, Interval]:
        """Return percentile intervals of these areas minus those of another scorer on the same resamples."""
        return {name: percentile_interval(self.values[name] - other.values[name]) for name in ("roc_auc", "pr_auc")}


def percentile_interval(values: Float64Array) -> Interval:
    """Return the interval that holds the central `CONFIDENCE` of the values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def block_starts(data: LabelledScores) -> IntArray:
    """Return the first row of each block, [blocks].

    A block starts halfway between two events; events that touch or overlap share a block.
    """
    starts, last = [0], int(data.event_bounds[0, 1])
    for first, stop in data.event_bounds[1:].tolist():
        if first > last:
            starts.append((last + first + 1) // 2)
        last = max(last, stop)
    return np.array(starts, dtype=np.int64)


def resample(data: LabelledScores, threshold: float, seed: int) -> Resamples | None:
    """Draw resamples of the blocks and compute the metrics of each.

    Args:
        data: Scores with labels and events.
        threshold: Threshold of the alarms, in nats.
        seed: Seed of the draws; the same seed draws the same blocks for any scorer on the same rows.

    Returns:
        None if there is a single block.
    """
    starts = block_starts(data)
    if len(starts) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(starts), np.full(len(starts), 1 / len(starts)), RESAMPLES)

    def total(counts: npt.NDArray[np.number]) -> Float64Array:
        return np.asarray(drawn @ counts, dtype=np.float64)

    normal, anomalous = (total(counts) for counts in _histograms(data, starts))
    return Resamples({**_areas(normal, anomalous), **_metrics_at(data, threshold, starts, total)})


def _histograms(data: LabelledScores, starts: IntArray) -> tuple[Float64Array, Float64Array]:
    """Return the normal and the anomalous rows of each block by the rank of their score, [blocks, bins] each."""
    # Anomalous scores are few but decide the areas, so they set half of the edges.
    levels = np.linspace(0, 1, BINS // 2)
    edges = np.unique([np.quantile(scores, levels) for scores in (data.normal_scores, data.anomalous_scores)])
    shape = (2, len(starts), len(edges) + 1)
    counts = np.zeros(shape)
    for block, (first, stop) in enumerate(zip(starts, [*starts[1:], len(data.scores)], strict=True)):
        bins = np.searchsorted(edges, data.scores[first:stop])
        for label in (0, 1):
            counts[label, block] = np.bincount(bins[data.labels[first:stop] == label], minlength=shape[2])
    return counts[0], counts[1]


def _areas(normal: Float64Array, anomalous: Float64Array) -> dict[str, Float64Array]:
    """Return the areas under both curves, [resamples] each, from rows by ascending score, [resamples, bins] each."""
    below = np.cumsum(normal, axis=1) - normal / 2  # ties within a bin count half
    with np.errstate(invalid="ignore"):
        roc = (anomalous * below).sum(axis=1) / (anomalous.sum(axis=1) * normal.sum(axis=1))
        found = np.cumsum(anomalous[:, ::-1], axis=1)
        alarms = found + np.cumsum(normal[:, ::-1], axis=1)
        precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
        pr = (precision * anomalous[:, ::-1]).sum(axis=1) / anomalous.sum(axis=1)
    return {"roc_auc": roc, "pr_auc": pr}


def _metrics_at(
    data: LabelledScores,
    threshold: float,
    starts: IntArray,
    total: Callable[[npt.NDArray[np.number]], Float64Array],
) -> dict[str, Float64Array]:
    """Return the metrics of one threshold, [resamples] each; `total` sums counts [blocks] for each resample."""

    def total_rows(rows: npt.NDArray[np.number | np.bool_]) -> Float64Array:
        return total(np.add.reduceat(rows, starts, dtype=np.float64))

    alarm = data.alarms(threshold)
    hits, misses = total_rows(alarm & ~data.is_normal), total_rows(~alarm & ~data.is_normal)
    alarms = hits + total_rows(alarm & data.is_normal)
    block_of_event = np.searchsorted(starts, data.event_bounds[:, 0], side="right") - 1
    detected = total(np.bincount(block_of_event, data.event_peaks > np.float64(threshold), minlength=len(starts)))
    events = total(np.bincount(block_of_event, minlength=len(starts)))
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, event_recall = hits / (hits + misses), detected / events
        days = total_rows(np.where(data.is_normal, data.days, 0.0))
        per_day = np.where(days > 0, total_rows(data.alarm_starts(threshold) & data.is_normal) / days, np.nan)
    return {
        "precision": np.where(alarms > 0, precision, np.nan),
        "recall": recall,
        "f1": harmonic_mean(precision, recall),
        "event_recall": event_recall,
        "composite_f1": harmonic_mean(precision, event_recall),
        "false_alarms_per_day": per_day,
    }
