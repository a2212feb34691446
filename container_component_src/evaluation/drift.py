"""Drift between calibration and test data: whether false alarms are as frequent as the calibration leads to expect."""

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
        "drift between calibration and test data: %.2g to %.2g false alarms a day, %s than the %.2g to %.2g expected; "
        "calibrate on newer data, or check what has changed",
        observed.low,
        observed.high,
        found.value,
        expected.low,
        expected.high,
    )
    return found
