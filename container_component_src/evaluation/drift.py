"""Drift between calibration and test data, by the frequency of false alarms and by the scores.

The drift of channels, and of telemetry other than the test set, is found by the package `drift`.
"""

import logging

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.evaluation.result import Drift, Interval

_log = logging.getLogger(__name__)


def drift(expected: ExpectedRate | None, observed: Interval | None) -> Drift:
    """Compare the intervals of the expected and the observed false alarms a day; a drift is logged as a warning."""
    if expected is None or observed is None:
        return Drift.UNKNOWN
    if expected.low <= observed.high and observed.low <= expected.high:
        return Drift.NONE
    found = Drift.MORE if observed.low > expected.high else Drift.FEWER
    _log.warning(
        "drift between calibration and test data: %.3g to %.3g false alarms a day, %s than the %.3g to %.3g expected; "
        "calibrate on newer data, or check what has changed",
        observed.low,
        observed.high,
        found.value,
        expected.low,
        expected.high,
    )
    return found


def scores_shifted(median: float, highest_median: float) -> bool:
    """Return whether scores of normal operation have risen; a rise is logged as a warning.

    Alarms that last longer are not more alarms, so the rate of false alarms alone does not show such a drift.

    Args:
        median: Median score of the normal test rows, in nats.
        highest_median: Highest median of a part of the calibration set, in nats.
    """
    shifted = median > highest_median
    if shifted:
        _log.warning(
            "drift between calibration and test data: the median score of normal test rows, %.6g nats, is above that "
            "of every part of the calibration data, at most %.6g; train or calibrate on newer data, or check what has "
            "changed",
            median,
            highest_median,
        )
    return shifted
