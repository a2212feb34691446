"""Plot of the score over time, with lanes of the reported events and the alarms."""

from collections.abc import Mapping, Sequence
from html import escape

from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.event_result import EventResult
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.report.alarms import AlarmKind, ShownAlarm
from container_component_src.report.series import Line, Series, Window
from container_component_src.report.signals import Signal
from container_component_src.report.text import duration, fraction, scale_texts, short_number
from container_component_src.report.traces import Figure, line, milliseconds, significant, threshold_lines, with_gaps
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND
from container_component_src.telemetry.timestamps import to_iso

_SCORE_TOP = 0.84  # upper end of the score axis, as a fraction of the plot; the lanes are above
_LANES = ("Alarms", "Events")  # from below
_ALARM_COLOURS: Mapping[AlarmKind, str] = {"true": "@detected", "false": "@false", "rare nominal": "@slate"}
_MOST_SHAPES = 300  # shaded events; more would slow the plot down, and every event has a marker
_TIME_HOVER = "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:,.3~r} nats<extra></extra>"


def time_figure(series: Series, result: EvaluationResult, rule: AlarmRule, alarms: Sequence[ShownAlarm]) -> Figure:
    """Return smoothed score, thresholds, events and alarms; time without data is left out."""
    score = {
        **line("Smoothed score", "@score", width=1.2),
        **_columns(series.overview),
        "hovertemplate": _TIME_HOVER,
    }
    breaks = [{"bounds": [_plotly_time(before), _plotly_time(after)]} for before, after in series.gaps]
    return {
        "data": [
            score,
            *(_event_markers(result.events, detected) for detected in (True, False)),
            *(_alarm_bars(alarms, kind) for kind in _ALARM_COLOURS if kind in _kinds(alarms)),
        ],
        "layout": {
            "xaxis": {
                "type": "date",
                "rangebreaks": breaks,
                "range": [_plotly_time(result.counts.start), _plotly_time(result.counts.end)],
                "title": {"text": "Time (UTC, without gaps)"},
            },
            "yaxis": {"title": {"text": "Score (nats)"}, "domain": [0, _SCORE_TOP]},
            "yaxis2": {
                "domain": [_SCORE_TOP + 0.03, 1],
                "range": [-0.6, len(_LANES) - 0.4],
                "tickvals": list(range(len(_LANES))),
                "ticktext": list(_LANES),
                "showgrid": False,
                "showline": False,
                "fixedrange": True,
            },
            "shapes": [
                *_window_shapes(series, result),
                *_event_shapes(result.events),
                *(_event_shape(event.start, event.end, "@slate") for event in result.rare_nominal[:_MOST_SHAPES]),
                *threshold_lines(result, "y", rule),
            ],
            "hovermode": "closest",
        },
        "score_axis": "y",
    }


def event_views(
    lines: Sequence[Line],
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
            "first_alarm": _first_alarm(event),
            "similar": [{"number": item.position, "similarity": fraction(item.similarity)} for item in event.similar],
            "detected": event.detected,
            "symbol": event.symbol,
            "label": " ".join(f"Event {number} of {count}: {event.id} {event.title}".split()),
            "outcome": _outcome(event),
            "score": _columns(score, window.start, digits=5),
            "signals": [
                {
                    "channel": signal.channel,
                    "excess": f"{short_number(signal.excess, sign=True)} nats",
                    "training_range": signal.training_range,
                    "training_text": signal.training_range and " to ".join(scale_texts(signal.training_range)),
                    **_columns(signal.line, window.start, digits=7),
                    "expected": _expected_columns(signal.expected, window.start),
                }
                for signal in event_signals
            ],
        }
        for number, (event, window, score, event_signals) in enumerate(
            zip(result.events, windows, lines, signals, strict=True), 1
        )
    ]


def alarm_views(lines: Sequence[Line], windows: Sequence[Window], alarms: Sequence[ShownAlarm]) -> list[Figure]:
    """Return what the plots show when the reader selects an alarm; times are as in `event_views`."""
    return [
        {
            "start": milliseconds(window.start),
            "end": milliseconds(window.end),
            "times": [milliseconds(getattr(item.alarm, name)) for name in ("start", "raised", "peak", "end")],
            "peak_score": significant(item.alarm.peak_score, 5),
            "kind": item.kind,
            "label": f"Alarm {item.alarm.id}: {item.kind} alarm, {item.event}",
            "score": _columns(score, window.start, digits=5),
        }
        for item, window, score in zip(alarms, windows, lines, strict=True)
    ]


def _kinds(alarms: Sequence[ShownAlarm]) -> set[AlarmKind]:
    """Return the kinds of alarms that have a place in the legend."""
    return {"true", "false", *(item.kind for item in alarms)}


def _outcome(event: EventResult) -> str:
    peak = f"peak score {short_number(event.peak_score)} nats"
    if event.delay_s is None:
        return f"Missed, {peak}"
    when = f"after {duration(event.delay_s)}" if event.delay_s >= 0 else f"{duration(-event.delay_s)} before its start"
    return f"Detected {when}, {peak}"


def _first_alarm(event: EventResult) -> list[int] | None:
    """Return when the score crosses the alarm threshold for the first alarm, and when it is raised, in milliseconds."""
    if event.alarm_start is None or event.delay_s is None:
        return None
    raised = event.start + round(event.delay_s * NANOSECONDS_PER_SECOND)
    return [milliseconds(event.alarm_start), milliseconds(raised)]


def _expected_columns(points: Line, start: int) -> dict[str, list[float | None]]:
    """Return `x`, `low` and `high` as `_columns` does."""
    low, high = (_columns(Line(points.timestamps, values), start, digits=7) for values in points.values.T)
    return {"x": low["x"], "low": low["y"], "high": high["y"]}


def _columns(points: Line, start: int = 0, digits: int = 5) -> dict[str, list[float | None]]:
    """Return a line as `x` in milliseconds since the start and rounded `y`; null breaks the line."""
    return {
        "x": ((points.timestamps - start) // 1_000_000).tolist(),
        "y": with_gaps(points.values.tolist(), digits),
    }


def _event_markers(events: Sequence[EventResult], detected: bool) -> Figure:
    """Return one marker above the plot for each event; a click on it zooms to the event."""
    rows = [(number, event) for number, event in enumerate(events) if event.detected is detected]
    state = "Detected" if detected else "Missed"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{state} event",
        "meta": "events",
        "yaxis": "y2",
        "x": [milliseconds(event.start) for _, event in rows],
        "y": [_LANES.index("Events")] * len(rows),
        "marker": {"symbol": "triangle-down" if detected else "x", "size": 10, "color": _colour(detected)},
        "customdata": [number for number, _ in rows],
        "text": [f"<b>{escape(event.id)}</b> {escape(event.title)}<br>{state}" for _, event in rows],
        "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
    }


def _alarm_bars(alarms: Sequence[ShownAlarm], kind: AlarmKind) -> Figure:
    """Return a bar for each alarm with marks at its start, peak and end; a click on it zooms to the alarm."""
    rows = [(number, item.alarm) for number, item in enumerate(alarms) if item.kind == kind]
    name, colour = f"{kind.capitalize()} alarm", _ALARM_COLOURS[kind]
    x: list[int | None] = []
    for _, alarm in rows:
        x += [milliseconds(alarm.start), milliseconds(alarm.peak), milliseconds(alarm.end), None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "meta": "alarms",
        "yaxis": "y2",
        "x": x,
        "y": [None if value is None else _LANES.index("Alarms") for value in x],
        "line": {"color": colour, "width": 10, "simplify": False},  # simplified lines lose short alarms
        "marker": {"symbol": "line-ns-open", "size": 16, "color": colour},
        "customdata": [number for number, _ in rows for _ in range(4)],
        "hovertemplate": f"{name}<br>%{{x|%Y-%m-%d %H:%M:%S}} UTC<extra></extra>",
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
    return [_event_shape(event.start, event.end, _colour(event.detected)) for event in events[:_MOST_SHAPES]]


def _event_shape(start: int, end: int, colour: str) -> Figure:
    return {**_area(start, end, f"{colour}/0.16"), "line": {"color": f"{colour}/0.4", "width": 1}}


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
