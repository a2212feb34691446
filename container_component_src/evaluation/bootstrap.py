"""Confidence intervals of the metrics by a block bootstrap over the events.

Neighbouring rows are nearly equal, so the bootstrap draws blocks of rows instead of single rows (Künsch 1989, "The
Jackknife and the Bootstrap for General Stationary Observations"). A block is an event with the normal rows nearest to
it. Each resample draws as many blocks as there are, with replacement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from container_component_src.alarms.expected_rate import CONFIDENCE, poisson_interval
from container_component_src.arrays import Float64Array, IntArray
from container_component_src.evaluation.found_alarms import FoundAlarms
from container_component_src.evaluation.labelled_scores import LabelledScores
from container_component_src.evaluation.operator_metrics import LATE, f_beta
from container_component_src.evaluation.result import Interval

RESAMPLES = 1_000
_AT_ONCE = 50  # resamples, whose bins stay in the processor's cache
BINS = 4_000  # of the ranks of the scores; the areas are off by less than 0.001


@dataclass(frozen=True)
class Resamples:
    """Metrics of every resample, [resamples] each; NaN if a metric is undefined for a resample."""

    values: Mapping[str, Float64Array]

    def intervals(self) -> dict[str, Interval]:
        """Return percentile intervals of the metrics that are defined for at least one resample."""
        return {name: percentile_interval(values) for name, values in self.values.items() if np.isfinite(values).any()}

    def differences(self, other: "Resamples", names: Sequence[str] = ("roc_auc", "pr_auc")) -> dict[str, Interval]:
        """Return percentile intervals of these metrics minus those of another scorer on the same resamples.

        Args:
            other: Resamples of the same rows with the same seed.
            names: Names of the metrics; those that are undefined for all resamples are left out.
        """
        return Resamples({name: self.values[name] - other.values[name] for name in names}).intervals()


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


@dataclass(frozen=True)
class _Draws:
    """How often each resample draws each block."""

    drawn: IntArray  # [resamples, blocks]
    starts: IntArray  # first row of each block, [blocks]

    def total(self, counts: npt.NDArray[np.number]) -> Float64Array:
        """Return the sum over the blocks drawn, [resamples, ...], of counts [blocks, ...]."""
        return np.asarray(self.drawn @ counts, dtype=np.float64)

    def of_rows(self, rows: npt.NDArray[np.number | np.bool_]) -> Float64Array:
        """Return the sum over the rows drawn, [resamples], of values [rows]."""
        return self.total(np.add.reduceat(rows, self.starts, dtype=np.float64))

    def of_items(self, first: IntArray, weights: npt.NDArray[np.number | np.bool_] | None = None) -> Float64Array:
        """Return the number or the weight [items] of the items drawn, [resamples], by their first row [items]."""
        return self.total(np.bincount(self.blocks(first), weights, minlength=len(self.starts)))

    def blocks(self, first: IntArray) -> IntArray:
        """Return the block of each item by its first row, [items]."""
        return np.searchsorted(self.starts, first, side="right") - 1


def resample(data: LabelledScores, seed: int, alarms: FoundAlarms | None = None) -> Resamples | None:
    """Draw resamples of the blocks and compute the areas of each, and the metrics of alarms in the data if given.

    Args:
        data: Scores with labels and events.
        seed: Seed of the draws; the same seed draws the same blocks for any scorer on the same rows.
        alarms: Alarms in the data; each belongs to the block in which it starts.

    Returns:
        None if there is a single block.
    """
    starts = block_starts(data)
    if len(starts) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(starts), np.full(len(starts), 1 / len(starts)), RESAMPLES)
    areas = _areas(drawn, *histograms(data, starts))
    return Resamples({**areas, **(_metrics_at(alarms, _Draws(drawn, starts)) if alarms else {})})


def histograms(data: LabelledScores, starts: IntArray) -> tuple[Float64Array, Float64Array]:
    """Return the normal and the anomalous rows of each block by ascending rank of their score, [blocks, bins] each."""
    # Anomalous scores are few but decide the areas, so they set half of the edges.
    levels = np.linspace(0, 1, BINS // 2)
    ascending = (data.normal_scores, data.anomalous_scores)
    edges = np.unique([np.interp(levels * (len(scores) - 1), np.arange(len(scores)), scores) for scores in ascending])
    shape = (len(starts), 2, len(edges) + 1)
    block = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(data.scores)))
    cells = np.ravel_multi_index((block, data.labels, np.searchsorted(edges, data.scores)), shape)
    counts = np.bincount(cells, minlength=np.prod(shape)).reshape(shape).astype(np.float64)
    counts = counts[:, :, counts.any(axis=(0, 1))]  # few rows leave most bins empty
    return counts[:, 0], counts[:, 1]


def _areas(drawn: IntArray, normal: Float64Array, anomalous: Float64Array) -> dict[str, Float64Array]:
    """Return the areas under both curves, [resamples] each.

    Sums over the bins are taken once for each block or pair of blocks, and not for each resample.

    Args:
        drawn: How often each resample draws each block, [resamples, blocks].
        normal: Normal rows by ascending score, [blocks, bins].
        anomalous: Anomalous rows by ascending score, [blocks, bins].
    """
    times = drawn.astype(np.float64)
    below = np.cumsum(normal, axis=1) - normal / 2  # ties within a bin count half
    pairs = np.einsum("rb,rb->r", times @ (anomalous @ below.T), times)  # in which the anomalous row scores higher
    positives, negatives = times @ anomalous.sum(axis=1), times @ normal.sum(axis=1)
    grows = anomalous.any(axis=0)  # recall grows only in bins with anomalous rows
    new = anomalous[:, grows]
    hits, rows = (  # in a bin and those above it
        np.compress(grows, np.cumsum(counts[:, ::-1], axis=1)[:, ::-1], axis=1)
        for counts in (anomalous, anomalous + normal)
    )
    weighted = np.empty(len(times))
    for some in (slice(first, first + _AT_ONCE) for first in range(0, len(times), _AT_ONCE)):
        found, alarms = times[some] @ hits, times[some] @ rows
        precision = np.divide(found, np.maximum(alarms, 1, out=alarms), out=alarms)  # without an alarm, 0
        weighted[some] = np.einsum("rb,rb->r", precision @ new.T, times[some])
    with np.errstate(invalid="ignore"):
        return {"roc_auc": pairs / (positives * negatives), "pr_auc": weighted / positives}


def _metrics_at(alarms: FoundAlarms, draws: _Draws) -> dict[str, Float64Array]:
    """Return the metrics of alarms, [resamples] each."""
    data, starts, first = alarms.data, alarms.bounds[:, 0], alarms.data.event_bounds[:, 0]
    hits = draws.of_rows(alarms.rows & ~data.is_normal)
    misses = draws.of_rows(~alarms.rows & ~data.is_normal)
    in_alarm = hits + draws.of_rows(alarms.rows & data.is_normal)
    count, false = draws.of_items(starts), draws.of_items(starts, alarms.false)
    events, detected = draws.of_items(first), draws.of_items(first, alarms.detected)
    normal_days = draws.of_rows(np.where(data.is_normal, data.days, 0.0))
    quiet_days = draws.of_rows(np.where(data.is_normal & ~alarms.rows, data.days, 0.0))
    several = len(np.unique(draws.blocks(first[alarms.detected]))) > 1  # else all resamples have the same events
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, event_recall = hits / in_alarm, detected / events
        recall = hits / (hits + misses)
        event_precision = np.where(count > 0, detected / (detected + false) * quiet_days / normal_days, np.nan)
        redundancy = draws.of_items(first, alarms.alarms_per_event) / detected
        rates = {
            "alarms_per_day": count / draws.of_rows(data.days),
            "false_alarms_per_day": np.where(normal_days > 0, false / normal_days, np.nan),
            "alarm_precision": 1 - false / count,
        }
    return {
        "precision": precision,
        "recall": recall,
        "f1": f_beta(np.nan_to_num(precision), recall, 1),
        "event_recall": event_recall,
        "composite_f1": f_beta(np.nan_to_num(precision), event_recall, 1),
        "event_f05": f_beta(np.nan_to_num(event_precision), event_recall),
        **rates,
        **({"redundancy": redundancy, **_delays(alarms, draws)} if several else {}),
    }


def _delays(alarms: FoundAlarms, draws: _Draws) -> dict[str, Float64Array]:
    """Return the quantiles of the detection delay, [resamples] each."""
    order = np.argsort(alarms.delays_s)
    blocks = draws.blocks(alarms.data.event_bounds[alarms.detected, 0])
    last = np.cumsum(draws.drawn[:, blocks[order]], axis=1)  # ranks before which each delay is drawn
    quantiles = {"median_detection_delay_s": 0.5, "p90_detection_delay_s": LATE}
    return {name: _quantile_of_draws(alarms.delays_s[order], last, level) for name, level in quantiles.items()}


def _quantile_of_draws(values: Float64Array, last: IntArray, level: float) -> Float64Array:
    """Return a quantile of each resample, as `np.quantile` defines it, [resamples]; NaN for an empty one.

    Args:
        values: Ascending, [values].
        last: Number of draws of each value and those before it, [resamples, values].
        level: Level of the quantile, between 0 and 1.
    """
    rank = level * np.maximum(last[:, -1] - 1, 0)
    low, high = (
        values[np.minimum((last <= at[:, np.newaxis]).sum(axis=1), len(values) - 1)]
        for at in (np.floor(rank), np.ceil(rank))
    )
    return np.where(last[:, -1] > 0, low + (high - low) * (rank % 1), np.nan)


def intervals(alarms: FoundAlarms, resamples: Resamples | None) -> dict[str, Interval]:
    """Return the intervals of the metrics of alarms and of the areas.

    That of a rate also covers `poisson_interval`: resamples of few alarms, or of none, vary too little.
    """
    found = resamples.intervals() if resamples else {}
    counts = {
        "alarms_per_day": (len(alarms.spans), alarms.data.observed_days),
        "false_alarms_per_day": (int(np.count_nonzero(alarms.false)), alarms.data.normal_days),
    }
    for name, (count, days) in counts.items():
        if days:
            low, high = poisson_interval(count, days)
            drawn = found.get(name, Interval(low=low, high=high))
            found[name] = Interval(low=min(low, drawn.low), high=max(high, drawn.high))
    return found
