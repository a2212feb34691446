"""Numbers, times and durations as texts for the reader of the report."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime

from container_component_src.evaluation.result import EvaluationResult, Interval

NONE = "\N{EN DASH}"
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"  # between thousands
_LARGEST = 1e9  # number that is written without an exponent
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def short_number(value: float | None, sign: bool = False) -> str:
    """Return three significant digits, with a sign if requested, or a dash."""
    if value is None:
        return NONE
    plus, rounded = "+" * sign, float(f"{value:.3g}")
    if 1_000 <= abs(rounded) < _LARGEST:
        return f"{rounded:{plus},.0f}".replace(",", _THIN_SPACE)
    return f"{rounded:{plus}.3g}"


def fraction(value: float | None, sign: bool = False) -> str:
    """Return three significant digits, zeros at the end too, with a sign if requested, or a dash."""
    return NONE if value is None else f"{round(value, 5) + 0.0:{'+' * sign}#.3g}"


def scale_texts(values: Sequence[float]) -> list[str]:
    """Return numbers of one scale: three significant digits of the largest, or more where these are nearly equal."""
    decimals = max(_decimals(max(map(abs, values)), 3), _decimals(max(values) - min(values), 2), 0)
    return [f"{value:,.{decimals}f}".replace(",", _THIN_SPACE) for value in values]


def _decimals(value: float, digits: int) -> int:
    """Return the decimals of a positive number with so many significant digits; below 0: zeros before the point."""
    return digits - 1 - math.floor(math.log10(value)) if value > 0 else 0


def interval_text(interval: Interval | None, sign: bool = False) -> str:
    """Return both ends as `fraction` does, or a dash."""
    return NONE if interval is None else f"{fraction(interval.low, sign)} to {fraction(interval.high, sign)}"


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
    return short_number(value) if metric.endswith("_per_day") or metric == "redundancy" else fraction(value)


def integer(value: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{value:,}".replace(",", _THIN_SPACE)


def share_of(part: int, total: int) -> str:
    """Return a number and its percentage of a total."""
    return f"{integer(part)} ({short_number(100 * part / total)} %)"


def duration(seconds: float | None) -> str:
    """Return a duration, negative or not, in the largest unit in which it is at least 2, or a dash."""
    if seconds is None:
        return NONE
    size, unit = next((unit for unit in _UNITS if abs(seconds) >= 2 * unit[0]), (1.0, "s"))
    return f"{short_number(seconds / size)} {unit}"


def utc(timestamp: int) -> str:
    """Return a timestamp in nanoseconds since 1970 UTC as date and time, to the second."""
    return moment(datetime.fromtimestamp(timestamp // 10**9, UTC))


def moment(time: datetime) -> str:
    """Return a time in UTC as date and time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def setting(value: object) -> str:
    """Return the value of a parameter as it is given to a run; an object as its keys and values."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {setting(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json.dumps(value)
