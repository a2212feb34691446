"""Plot of the score over time, with the reported events."""

from collections.abc import Sequence
from html import escape

import numpy as np

from container_component_src.evaluation.result import EvaluationResult, EventResult
from container_component_src.report.series import Line, Series, Window
from container_component_src.report.signals import Signal
from container_component_src.report.text import duration, short_number
from container_component_src.report.traces import Figure, line, milliseconds, threshold_lines
from container_component_src.telemetry.timestamps import to_iso

_SCORE_TOP = 0.91  # upper end of the score axis, as a fraction of the plot
_MOST_SHAPES = 300  # shaded events; more would slow the plot down, and every event has a marker
_TIME_HOVER = "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:.4~g} nats<extra></extra>"


def time_figure(series: Series, result: EvaluationResult) -> Figure:
    """Return smoothed score, thresholds and events; time without data is left out."""
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
                "title": {"text": "Time (UTC, without gaps)"},
            },
            "yaxis": {"title": {"text": "Score (nats)"}, "domain": [0, _SCORE_TOP]},
            "yaxis2": {"domain": [0.93, 1], "range": [0, 1], "visible": False, "fixedrange": True},
            "shapes": [
                *_window_shapes(series, result),
                *_event_shapes(result.events),
                *threshold_lines(result, "y"),
            ],
            "hovermode": "closest",
        },
        "score_axis": "y",
    }


def event_views(
    series: Series,
    signals: Sequence[Sequence[Signal]],
    windows: Sequence[Window],
    result: EvaluationResult,
) -> list[Figure]:
    """Return what the plots show when the reader selects an event: score, signals, time range and title.

    Times are milliseconds since the start of the event's window, which keeps the page small.
    """
    count = len(result.events)
    return [
        {
            "start": milliseconds(window.start),
            "end": milliseconds(window.end),
            "event": [milliseconds(event.start), milliseconds(event.end)],
            "detected": event.detected,
            "label": " ".join(f"Event {number} of {count}: {event.id} {event.title}".split()),
            "outcome": _outcome(event),
            "score": _columns(score, window.start, digits=5),
            "signals": [
                {
                    "channel": signal.channel,
                    "excess": float(short_number(signal.excess)),
                    "training_range": signal.training_range,
                    **_columns(signal.line, window.start, digits=7),
                }
                for signal in event_signals
            ],
        }
        for number, (event, window, score, event_signals) in enumerate(
            zip(result.events, windows, series.events, signals, strict=True), 1
        )
    ]


def _outcome(event: EventResult) -> str:
    peak = f"peak score {short_number(event.peak_score)} nats"
    return f"Detected after {duration(event.delay_s)}, {peak}" if event.detected else f"Missed, {peak}"


def _columns(points: Line, start: int = 0, digits: int = 5) -> dict[str, list[float | None]]:
    """Return a line as `x` in milliseconds since the start and rounded `y`; null breaks the line."""
    return {
        "x": ((points.timestamps - start) // 1_000_000).tolist(),
        "y": [None if np.isnan(value) else float(f"{value:.{digits}g}") for value in points.values.tolist()],
    }


def _event_markers(events: Sequence[EventResult], detected: bool) -> Figure:
    """Return one marker above the plot for each event; a click on it zooms to the event."""
    rows = [(number, event) for number, event in enumerate(events) if event.detected is detected]
    state = "Detected" if detected else "Missed"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{state} event",
        "yaxis": "y2",
        "x": [milliseconds(event.start) for _, event in rows],
        "y": [0.5] * len(rows),
        "marker": {"symbol": "triangle-down" if detected else "x", "size": 10, "color": _colour(detected)},
        "customdata": [number for number, _ in rows],
        "text": [f"<b>{escape(event.id)}</b> {escape(event.title)}<br>{state}" for _, event in rows],
        "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
    }


def _window_shapes(series: Series, result: EvaluationResult) -> list[Figure]:
    """Return a grey background for every second stretch of test data between two gaps."""
    starts = [result.counts.start, *(after for _, after in series.gaps)]
    ends = [*(before for before, _ in series.gaps), result.counts.end]
    windows = list(zip(starts, ends, strict=True))[::2]
    look = {"line": {"width": 0}, "name": "Every second test window"}
    return [
        {**_area(start, end, "@muted/0.13"), **look, "showlegend": number == 0}
        for number, (start, end) in enumerate(windows)
    ]


def _event_shapes(events: Sequence[EventResult]) -> list[Figure]:
    return [
        {
            **_area(event.start, event.end, f"{_colour(event.detected)}/0.16"),
            "line": {"color": f"{_colour(event.detected)}/0.4", "width": 1},
        }
        for event in events[:_MOST_SHAPES]
    ]


def _colour(detected: bool) -> str:
    return "@detected" if detected else "@missed"


def _area(start: int, end: int, colour: str) -> Figure:
    """Return a rectangle behind the score from start to end, in nanoseconds."""
    return {
        "type": "rect",
        "layer": "below",
        "x0": milliseconds(start),
        "x1": milliseconds(end),
        "yref": "paper",
        "y0": 0,
        "y1": _SCORE_TOP,
        "fillcolor": colour,
    }


def _plotly_time(timestamp: int) -> str:
    return to_iso(timestamp).replace("T", " ").removesuffix("+00:00")
