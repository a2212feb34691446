"""Parts of plotly.js figures that several plots share."""

import math
from collections.abc import Iterable
from typing import Any

from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.result import EvaluationResult

Figure = dict[str, Any]  # a plotly.js figure, or a part of one

_NANOSECONDS_PER_MILLISECOND = 1_000_000


def line(name: str, colour: str, dash: str = "solid", width: float = 2) -> Figure:
    """Return a line trace without points."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"color": colour, "width": width, "dash": dash},
    }


def milliseconds(timestamp: int) -> int:
    """Convert nanoseconds to the milliseconds of a plotly.js time axis."""
    return round(timestamp / _NANOSECONDS_PER_MILLISECOND)


def significant(value: float, digits: int) -> float:
    """Return a number rounded to so many significant digits, which keeps the page small."""
    return float(f"{value:.{digits}g}")


def with_gaps(values: Iterable[float], digits: int) -> list[float | None]:
    """Return numbers rounded to so many significant digits; NaN becomes null, which breaks a line."""
    return [None if math.isnan(value) else significant(value, digits) for value in values]


def count_axis(title: str, largest: int) -> Figure:
    """Return an axis of integers from 0 with about ten ticks at most."""
    return {"title": {"text": title}, "tickformat": "d", "dtick": max(1, -(-largest // 10))}


def threshold_lines(result: EvaluationResult, axis: str, rule: AlarmRule) -> list[Figure]:
    """Return the levels of the rule and the best threshold as lines across a plot whose `axis` holds scores."""
    levels = [("Alarm threshold", rule.raise_above, "@calibrated", "solid")]
    if rule.clear_below < rule.raise_above:
        levels.append(("Clear threshold", rule.clear_below, "@calibrated", "dot"))
    levels.append(("Best threshold", result.best.threshold, "@best", "dash"))
    return [level(axis, score, name, colour, dash) for name, score, colour, dash in levels]


def level(axis: str, at: float, name: str, colour: str, dash: str = "") -> Figure:
    """Return a line across the plot at a value of the axis `x` or `y`, with a place in the legend."""
    across = "y" if axis == "x" else "x"
    return {
        "type": "line",
        f"{across}ref": "paper",
        f"{across}0": 0,
        f"{across}1": 1,
        f"{axis}0": at,
        f"{axis}1": at,
        "line": {"color": colour, "width": 2, **({"dash": dash} if dash else {})},
        "name": name,
        "showlegend": True,
    }
