"""Numbers, times and durations as a reader wants them."""

import pandas as pd

from container_component_src.evaluation.result import EvaluationResult, Interval

NONE = "\N{EN DASH}"
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def short_number(value: float | None) -> str:
    """Four significant digits, or a dash."""
    return NONE if value is None else f"{value:.4g}"


def rate(value: float | None) -> str:
    """Two significant digits, or a dash."""
    return NONE if value is None else f"{value:.2g}" if value < 100 else whole(round(value))


def fraction(value: float | None) -> str:
    """Three decimals, or a dash."""
    return NONE if value is None else f"{value:.3f}"


def span(interval: Interval | None, sign: bool = False) -> str:
    """An interval with three decimals, with signs where it is one of differences, or a dash."""
    return NONE if interval is None else f"{interval.low:{'+' * sign}.3f} to {interval.high:{'+' * sign}.3f}"


def interval_texts(result: EvaluationResult) -> dict[str, str]:
    """The intervals by metric."""
    return {
        name: f"{rate(found.low)} to {rate(found.high)}" if name == "false_alarms_per_day" else span(found)
        for name, found in result.intervals.items()
    }


def whole(value: int) -> str:
    """A count with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share_of(part: int, total: int) -> str:
    """A count and its share of a total, in percent."""
    return f"{whole(part)} ({100 * part / total:.3g} %)"


def duration(seconds: float | None) -> str:
    """In the largest unit of which there are at least two, or a dash."""
    if seconds is None:
        return NONE
    size, unit = next((unit for unit in _UNITS if seconds >= 2 * unit[0]), (1.0, "s"))
    return f"{seconds / size:.3g} {unit}"


def utc(timestamp: int) -> str:
    """Nanoseconds since 1970 UTC, to the second."""
    return pd.Timestamp(timestamp, unit="ns", tz="UTC").strftime("%Y-%m-%d %H:%M:%S")
