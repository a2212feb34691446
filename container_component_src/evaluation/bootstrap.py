"""How sure a metric is: a block bootstrap over the events.

Neighbouring rows are near copies of each other, so rows cannot be drawn one by one (Künsch 1989, "The Jackknife and the
Bootstrap for General Stationary Observations"). A block is an event with the normal rows nearest to it; blocks are
drawn with replacement, as many as there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.evaluation.metrics import LabelledScores, harmonic_mean
from container_component_src.evaluation.result import Interval

RESAMPLES = 1_000
CONFIDENCE = 0.95
BINS = 4_000  # of the ranks of the scores; areas are off by less than one part in thousands

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Resamples:
    """Metrics of every resample of the blocks, shape [resamples] each; NaN where one has no such number."""

    values: Mapping[str, Floats]

    def intervals(self) -> dict[str, Interval]:
        """Percentile intervals of the metrics that are defined in at least one resample."""
        return {name: interval(values) for name, values in self.values.items() if np.isfinite(values).any()}

    def differences(self, other: "Resamples") -> dict[str, Interval]:
        """Percentile intervals of this minus another detector's areas on the same resamples."""
        return {name: interval(self.values[name] - other.values[name]) for name in ("roc_auc", "pr_auc")}


def interval(values: Floats) -> Interval:
    """The central `CONFIDENCE` of the values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def block_starts(data: LabelledScores) -> npt.NDArray[np.int64]:
    """First row of each block, shape [blocks]: halfway between events; those that touch or overlap share a block."""
    starts, last = [0], int(data.event_bounds[0, 1])
    for first, stop in data.event_bounds[1:].tolist():
        if first > last:
            starts.append((last + first + 1) // 2)
        last = max(last, stop)
    return np.array(starts, dtype=np.int64)


def resample(data: LabelledScores, threshold: float, seed: int) -> Resamples | None:
    """Draw the blocks again and again, and compute the metrics of each draw.

    Args:
        data: Scores with labels and events.
        threshold: At which alarms are counted.
        seed: Of the draws; with the same one, the draws of two detectors on the same rows are the same.

    Returns:
        None where there is but one block, which nothing can be said from.
    """
    starts = block_starts(data)
    if len(starts) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(starts), np.full(len(starts), 1 / len(starts)), RESAMPLES)

    def total(counts: npt.NDArray[np.number]) -> Floats:
        return np.asarray(drawn @ counts, dtype=np.float64)

    normal, anomalous = (total(counts) for counts in _histograms(data, starts))
    return Resamples({**_areas(normal, anomalous), **_at_threshold(data, threshold, starts, total)})


def _histograms(data: LabelledScores, starts: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Normal and abnormal rows of each block by the rank of their score, each of shape [blocks, bins]."""
    # Abnormal scores are few but decide the areas: half of the edges are theirs.
    levels = np.linspace(0, 1, BINS // 2)
    edges = np.unique([np.quantile(part, levels) for part in (data.normal_scores, data.anomalous_scores)])
    shape = (2, len(starts), len(edges) + 1)
    counts = np.zeros(shape)
    for block, (first, stop) in enumerate(zip(starts, [*starts[1:], len(data.scores)], strict=True)):
        bins = np.searchsorted(edges, data.scores[first:stop])
        for label in (0, 1):
            counts[label, block] = np.bincount(bins[data.labels[first:stop] == label], minlength=shape[2])
    return counts[0], counts[1]


def _areas(normal: Floats, anomalous: Floats) -> dict[str, Floats]:
    """Areas under the ROC and the precision-recall curve from counts by ascending score, shape [resamples, bins]."""
    below = np.cumsum(normal, axis=1) - normal / 2  # ties within a bin count half
    with np.errstate(invalid="ignore"):
        roc = (anomalous * below).sum(axis=1) / (anomalous.sum(axis=1) * normal.sum(axis=1))
        found = np.cumsum(anomalous[:, ::-1], axis=1)
        alarms = found + np.cumsum(normal[:, ::-1], axis=1)
        precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
        pr = (precision * anomalous[:, ::-1]).sum(axis=1) / anomalous.sum(axis=1)
    return {"roc_auc": roc, "pr_auc": pr}


def _at_threshold(
    data: LabelledScores,
    threshold: float,
    starts: npt.NDArray[np.int64],
    total: Callable[[npt.NDArray[np.number]], Floats],
) -> dict[str, Floats]:
    alarm = data.scores > np.float64(threshold)
    begins = data.alarm_begins(threshold)

    def by_block(rows: npt.NDArray[np.number] | npt.NDArray[np.bool_]) -> Floats:
        return total(np.add.reduceat(rows, starts, dtype=np.float64))

    hits, misses = by_block(alarm & ~data.is_normal), by_block(~alarm & ~data.is_normal)
    alarms = hits + by_block(alarm & data.is_normal)
    of_event = np.searchsorted(starts, data.event_bounds[:, 0], side="right") - 1
    detected = total(np.bincount(of_event, data.event_peaks > np.float64(threshold), minlength=len(starts)))
    events = total(np.bincount(of_event, minlength=len(starts)))
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, event_recall = hits / (hits + misses), detected / events
        days = by_block(np.where(data.is_normal, data.days, 0.0))
        per_day = np.where(days > 0, by_block(begins & data.is_normal) / days, np.nan)
    return {
        "precision": np.where(alarms > 0, precision, np.nan),
        "recall": recall,
        "f1": harmonic_mean(precision, recall),
        "event_recall": event_recall,
        "composite_f1": harmonic_mean(precision, event_recall),
        "false_alarms_per_day": per_day,
    }
