"""Whether a series has drifted, why, and since when."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.drift.measures import decile_shares, ks, ks_p_value, psi, start_of_change
from container_component_src.drift.period import PeriodCounts
from container_component_src.drift.result import DriftReason, ValueDrift
from container_component_src.steps.drift import DriftLimits
from container_component_src.telemetry.distribution import Distribution


@dataclass(frozen=True)
class Measured:
    """Distances of one series from its reference; None: there are no values, or it is unknown."""

    counts: IntArray  # see `PeriodCounts.counts`
    psi: float | None
    ks: float | None
    p_value: float | None
    effective_rows: float | None
    missing_share: float
    outside_share: float | None

    @classmethod
    def of(cls, reference: Distribution, counts: IntArray, period: PeriodCounts) -> Self:
        """Measure a series by its counts.

        The significance of the Kolmogorov-Smirnov statistic is that of the independent values that vary as much as
        parts of the reference of the same length do, at most that of all values.
        """
        *values, missing = counts.sum(axis=0).tolist()
        known = sum(values)
        missing_share = missing / (known + missing)
        if not known:
            return cls(counts, None, None, None, None, missing_share, None)
        total = np.array(values)
        distance = ks(reference, total)
        rows = reference.independent_rows(period.days(counts))
        effective = None if rows is None else min(rows, known)
        return cls(
            counts=counts,
            psi=psi(*decile_shares(reference, total)),
            ks=distance,
            p_value=None if effective is None else ks_p_value(distance, effective),
            effective_rows=effective,
            missing_share=missing_share,
            outside_share=(values[0] + values[-1]) / known,
        )


def judge(
    found: Measured, adjusted: float | None, reference: Distribution, period: PeriodCounts, limits: DriftLimits
) -> ValueDrift:
    """Return whether a series has drifted.

    A population stability index above its limit counts only if the distance of the distributions is significant: that
    of a short period is large without any drift. A significant distance with a small index is too small to matter.

    Args:
        found: Distances of the series.
        adjusted: Its p-value, adjusted for the number of series.
        reference: Its reference.
        period: The period.
        limits: When it is a drift.
    """
    usual_outside = reference.usual_outside(period.days(found.counts))
    passed = {
        DriftReason.DISTRIBUTION: (found.psi or 0) > limits.psi_limit
        and adjusted is not None
        and adjusted < limits.alpha,
        DriftReason.MISSING: found.missing_share - reference.missing_share > limits.missing_limit,
        DriftReason.OUTSIDE: (found.outside_share or 0) > max(limits.outside_limit, usual_outside),
    }
    reasons = tuple(reason for reason, is_passed in passed.items() if is_passed)
    start = start_of_change(_shares_of_bins(reference), found.counts) if reasons else None
    return ValueDrift(
        psi=found.psi,
        ks=found.ks,
        p_value=found.p_value,
        adjusted_p_value=adjusted,
        effective_rows=found.effective_rows,
        missing_share=found.missing_share,
        missing_share_before=reference.missing_share,
        outside_share=found.outside_share,
        outside_share_before=usual_outside,
        drifted=bool(reasons),
        reasons=reasons,
        since=None if start is None else period.start_of(start),
    )


def _shares_of_bins(reference: Distribution) -> Float64Array:
    """Return the shares of a reference in the bins of `PeriodCounts.counts`."""
    values = np.diff(reference.shares, prepend=0, append=1) * (1 - reference.missing_share)
    return np.append(values, reference.missing_share)
