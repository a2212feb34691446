"""The plot of the score over time, with the reported events."""

from collections.abc import Sequence
from html import escape

import numpy as np

from container_component_src.evaluation.report_series import Line, Series
from container_component_src.evaluation.report_traces import Figure, line, threshold_lines
from container_component_src.evaluation.result import EvaluationResult, EventResult
from container_component_src.telemetry.dataset import to_iso

_NANOSECONDS_PER_MILLISECOND = 1_000_000
_MOST_SHAPES = 300  # shaded events; more would make the plot slow, and all have a marker
_TIME_HOVER = "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:.4~g} nats<extra></extra>"


def time_figure(series: Series, result: EvaluationResult) -> Figure:
    """Smoothed score, thresholds and events; times without data are left out."""
    score = {
        **line("Smoothed score", "@score", width=1.2),
        **_columns(series.overview),
        "hovertemplate": _TIME_HOVER,
    }
    breaks = [{"bounds": [_plotly_time(before), _plotly_time(after)]} for before, after in series.gaps]
    return {
        "data": [score, *(_event_markers(result.events, detected) for detected in (True, False))],
        "layout": {
            "xaxis": {
                "type": "date",
                "rangebreaks": breaks,
                "range": [_plotly_time(result.counts.start), _plotly_time(result.counts.end)],
                "title": {"text": "Time (UTC; gaps are left out)"},
            },
            "yaxis": {"title": {"text": "Score (nats)"}, "domain": [0, 0.91]},
            "yaxis2": {"domain": [0.93, 1], "range": [0, 1], "visible": False, "fixedrange": True},
            "shapes": [*_event_shapes(result.events), *threshold_lines(result, "y")],
            "hovermode": "closest",
        },
        "score_axis": "y",
    }


def event_views(series: Series, result: EvaluationResult) -> list[Figure]:
    """For each event what the plot shows when it is chosen: score, range of time and title."""
    count = len(result.events)
    return [
        {
            **_columns(window.line),
            "range": [_milliseconds(window.start), _milliseconds(window.end)],
            "label": " ".join(f"Event {number} of {count}: {event.id} {event.title}".split()),
        }
        for number, (event, window) in enumerate(zip(result.events, series.events, strict=True), 1)
    ]


def _columns(points: Line) -> dict[str, list[float | None]]:
    """A line as `x` in milliseconds and `y` in nats; null breaks it."""
    return {
        "x": (points.timestamps / _NANOSECONDS_PER_MILLISECOND).tolist(),
        "y": [None if np.isnan(value) else float(f"{value:.5g}") for value in points.values.tolist()],
    }


def _event_markers(events: Sequence[EventResult], detected: bool) -> Figure:
    """One marker above the plot for each event; a click on it zooms there."""
    rows = [(number, event) for number, event in enumerate(events) if event.detected is detected]
    state = "Detected" if detected else "Missed"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{state} event",
        "yaxis": "y2",
        "x": [_milliseconds(event.start) for _, event in rows],
        "y": [0.5] * len(rows),
        "marker": {
            "symbol": "triangle-down" if detected else "x",
            "size": 10,
            "color": "@detected" if detected else "@missed",
        },
        "customdata": [number for number, _ in rows],
        "text": [f"<b>{escape(event.id)}</b> {escape(event.title)}<br>{state}" for _, event in rows],
        "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
    }


def _event_shapes(events: Sequence[EventResult]) -> list[Figure]:
    shapes = []
    for event in events[:_MOST_SHAPES]:
        colour = "@detected" if event.detected else "@missed"
        shapes.append(
            {
                "type": "rect",
                "layer": "below",
                "x0": _milliseconds(event.start),
                "x1": _milliseconds(event.end),
                "yref": "paper",
                "y0": 0,
                "y1": 0.91,
                "fillcolor": f"{colour}/0.16",
                "line": {"color": f"{colour}/0.4", "width": 1},
            }
        )
    return shapes


def _milliseconds(timestamp: int) -> float:
    return timestamp / _NANOSECONDS_PER_MILLISECOND


def _plotly_time(timestamp: int) -> str:
    return to_iso(timestamp).replace("T", " ").removesuffix("+00:00")
