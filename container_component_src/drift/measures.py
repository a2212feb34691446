"""Distances between two distributions, and what they mean: pure functions of counts and shares."""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.special_functions import kolmogorov
from container_component_src.telemetry.distribution import Distribution

LEAST_SHARE = 1e-4  # of a bin, so that an empty one has a logarithm
_DECILES = np.arange(1, 10) / 10
_ROUNDING = 1e-9


def decile_shares(reference: Distribution, counts: IntArray) -> tuple[Float64Array, Float64Array]:
    """Return the shares of a reference and of a period in at most ten bins, each with a tenth of the reference.

    A value that is more frequent has a bin of its own, and there are fewer bins.

    Args:
        reference: The reference.
        counts: Values of the period below the first edge of the reference, between its edges, and above the last one,
            [edges + 1]; at least one value.
    """
    below = np.array(reference.shares)[1:-1]  # the inner edges
    first = np.unique(np.searchsorted(below, _DECILES - _ROUNDING))
    inner = first[first < len(below)]
    expected = np.diff(below[inner], prepend=0, append=1)
    observed = np.diff(cumulative(counts)[1:-1][inner], prepend=0, append=1)
    return expected, observed


def cumulative(counts: IntArray) -> Float64Array:
    """Return the share of the values below each edge, [edges], of counts as in `decile_shares`."""
    return np.asarray(counts.cumsum()[:-1] / counts.sum())


def psi(expected: Float64Array, observed: Float64Array) -> float:
    """Return the population stability index of two lists of shares.

    The sum of (o - e) · ln(o / e), as in Siddiqi, "Credit Risk Scorecards" (2006). An empty bin counts as
    `LEAST_SHARE`.

    Args:
        expected: Shares of the reference, [bins].
        observed: Shares of the period, [bins].
    """
    e, o = (np.where(shares > 0, shares, LEAST_SHARE) for shares in (expected, observed))
    return float(((o - e) * np.log(o / e)).sum())


def ks(reference: Distribution, counts: IntArray) -> float:
    """Return the Kolmogorov-Smirnov statistic at the edges of the reference, of counts as in `decile_shares`."""
    return float(np.abs(cumulative(counts) - np.array(reference.shares)).max())


def ks_p_value(statistic: float, rows: float) -> float:
    """Return the asymptotic p-value of a Kolmogorov-Smirnov statistic.

    Args:
        statistic: Largest distance of the cumulative distributions.
        rows: Independent values that vary as much as the difference of the two.
    """
    return float(kolmogorov(np.sqrt(rows) * statistic))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values for their number, whatever the dependence between the tests.

    Rejecting those up to alpha keeps the probability of one false rejection or more below alpha: Holm, "A Simple
    Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    names = sorted(p_values, key=p_values.__getitem__)
    products = (min((len(names) - rank) * p_values[name], 1.0) for rank, name in enumerate(names))
    return dict(zip(names, accumulate(products, max), strict=True))


def start_of_change(expected: Float64Array, counts: IntArray) -> int:
    """Return the first part of a period from which its values most likely follow another distribution to the end.

    The generalised likelihood ratio for a change from a known to an unknown distribution: Lorden, "Procedures for
    Reacting to a Change in Distribution", Annals of Mathematical Statistics 42 (1971). For each start, the unknown
    distribution is that of the values from there on.

    Args:
        expected: Shares of the reference, [bins].
        counts: Counts in the bins by part, [parts, bins].
    """
    rest = counts[::-1].cumsum(axis=0)[::-1].astype(np.float64)
    shares = rest / np.maximum(rest.sum(axis=1, keepdims=True), 1)
    ratio = np.where(shares > 0, shares, 1) / np.maximum(expected, LEAST_SHARE)
    return int(np.argmax((rest * np.log(np.where(shares > 0, ratio, 1))).sum(axis=1)))
