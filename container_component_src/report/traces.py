"""Parts of plotly.js figures that several plots share."""

from typing import Any

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


def count_axis(title: str, largest: int) -> Figure:
    """Return an axis of integers from 0 with about ten ticks at most."""
    return {"title": {"text": title}, "tickformat": "d", "dtick": max(1, -(-largest // 10))}


def threshold_lines(result: EvaluationResult, axis: str) -> list[Figure]:
    """Return both thresholds as lines across a plot whose `axis` holds scores."""
    across, along = ("x", "y") if axis == "y" else ("y", "x")
    return [
        {
            "type": "line",
            f"{across}ref": "paper",
            f"{across}0": 0,
            f"{across}1": 1,
            f"{along}0": metrics.threshold,
            f"{along}1": metrics.threshold,
            "line": {"color": colour, "width": 2, "dash": dash},
            "name": f"{name} threshold",
            "showlegend": True,
        }
        for name, metrics, colour, dash in (
            ("Calibrated", result.calibrated, "@calibrated", "solid"),
            ("Best", result.best, "@best", "dash"),
        )
    ]
