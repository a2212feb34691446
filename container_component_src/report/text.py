"""Numbers, times and durations as texts for the reader of the report."""

import json
from datetime import datetime

import pandas as pd

from container_component_src.evaluation.result import EvaluationResult, Interval

NONE = "\N{EN DASH}"
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def short_number(value: float | None) -> str:
    """Return four significant digits, or a dash."""
    return NONE if value is None else f"{value:.4g}"


def rate(value: float | None) -> str:
    """Return two significant digits, all digits of 100 and above, or a dash."""
    return NONE if value is None else f"{value:.2g}" if value < 100 else integer(round(value))


def fraction(value: float | None) -> str:
    """Return three decimals, or a dash."""
    return NONE if value is None else f"{value:.3f}"


def interval_text(interval: Interval | None, sign: bool = False) -> str:
    """Return both ends with three decimals, with signs if requested, or a dash."""
    return NONE if interval is None else f"{interval.low:{'+' * sign}.3f} to {interval.high:{'+' * sign}.3f}"


def interval_texts(result: EvaluationResult) -> dict[str, str]:
    """Return the intervals of an evaluation by metric."""
    return {name: metric_interval(name, found) for name, found in result.intervals.items()}


def metric_interval(metric: str, interval: Interval) -> str:
    """Return both ends of the interval of a metric."""
    return f"{metric_text(metric, interval.low)} to {metric_text(metric, interval.high)}"


def metric_text(metric: str, value: float | None) -> str:
    """Return the value of a metric as its kind is written."""
    if metric.endswith("_s"):
        return duration(value)
    return rate(value) if metric.endswith("_per_day") or metric == "redundancy" else fraction(value)


def integer(value: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share_of(part: int, total: int) -> str:
    """Return a number and its percentage of a total."""
    return f"{integer(part)} ({100 * part / total:.3g} %)"


def duration(seconds: float | None) -> str:
    """Return a duration, negative or not, in the largest unit in which it is at least 2, or a dash."""
    if seconds is None:
        return NONE
    size, unit = next((unit for unit in _UNITS if abs(seconds) >= 2 * unit[0]), (1.0, "s"))
    return f"{seconds / size:.3g} {unit}"


def utc(timestamp: int) -> str:
    """Return a timestamp in nanoseconds since 1970 UTC as date and time, to the second."""
    return moment(pd.Timestamp(timestamp, unit="ns", tz="UTC"))


def moment(time: datetime) -> str:
    """Return a time in UTC as date and time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def setting(value: object) -> str:
    """Return the value of a parameter as it is given to a run; an object as its keys and values."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {setting(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value)
