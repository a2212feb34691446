"""The plots of the report as plotly.js figures: pure functions from results to JSON values.

Colours are names with an `@`, which the page's script replaces by those of the light or the dark theme. `score_axis`
says which axis holds scores, so that the script can switch it between its linear and its compressed form.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from container_component_src.evaluation.report_series import Line, Series
from container_component_src.evaluation.report_text import short_number
from container_component_src.evaluation.result import EvaluationResult, EventResult
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.telemetry.dataset import to_iso

Figure = dict[str, Any]

_NANOSECONDS_PER_MILLISECOND = 1_000_000
_MOST_SHAPES = 300  # shaded events; more would make the plot slow, and all have a marker
_TIME_HOVER = "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:.4~g} nats<extra></extra>"


def result_figures(series: Series, result: EvaluationResult, info: BundleInfo) -> dict[str, Figure]:
    """All plots but those of the tuning, by the id of their place in the page."""
    return {
        "time": _time(series, result),
        "thresholds": _thresholds(result),
        "roc": _roc(result),
        "pr": _pr(result),
        "histogram": _histogram(series, result),
        "training": _training(info),
    }


def line_columns(line: Line) -> dict[str, list[float | None]]:
    """A line as `x` in milliseconds and `y` in nats; null breaks it."""
    return {
        "x": (line.timestamps / _NANOSECONDS_PER_MILLISECOND).tolist(),
        "y": [None if np.isnan(value) else float(f"{value:.5g}") for value in line.values.tolist()],
    }


def _time(series: Series, result: EvaluationResult) -> Figure:
    score = {
        **_line("Smoothed score", "@score", width=1.2),
        **line_columns(series.overview),
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
            "shapes": [*_event_shapes(result.events), *_threshold_lines(result, "y")],
            "hovermode": "closest",
        },
        "score_axis": "y",
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
        "x": [event.start / _NANOSECONDS_PER_MILLISECOND for _, event in rows],
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
                "x0": event.start / _NANOSECONDS_PER_MILLISECOND,
                "x1": event.end / _NANOSECONDS_PER_MILLISECOND,
                "yref": "paper",
                "y0": 0,
                "y1": 0.91,
                "fillcolor": f"{colour}/0.16",
                "line": {"color": f"{colour}/0.4", "width": 1},
            }
        )
    return shapes


def _threshold_lines(result: EvaluationResult, axis: str) -> list[Figure]:
    """Both thresholds as lines across a plot whose `axis` holds scores."""
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


def _thresholds(result: EvaluationResult) -> Figure:
    curve = result.threshold_curve
    columns = (
        ("Composite F1", curve.composite_f1, "@ink", "solid", 3),
        ("Precision", curve.precision, "@score", "solid", 2),
        ("Event recall", curve.event_recall, "@detected", "dash", 2),
        ("Recall (rows)", curve.recall, "@muted", "dot", 2),
    )
    return {
        "data": [
            {
                **_line(name, colour, dash, width),
                "x": list(curve.threshold),
                "y": list(values),
                "hovertemplate": f"{name} %{{y:.3f}} at %{{customdata:.4~g}} nats<extra></extra>",
            }
            for name, values, colour, dash, width in columns
        ],
        "layout": {
            "xaxis": {"title": {"text": "Threshold (nats)"}},
            "yaxis": {"title": {"text": "Value"}, "range": [0, 1.02]},
            "shapes": _threshold_lines(result, "x"),
        },
        "score_axis": "x",
    }


def _roc(result: EvaluationResult) -> Figure:
    roc = result.roc
    points = [
        (name, metrics.false_positives / (metrics.false_positives + metrics.true_negatives), metrics.recall)
        for name, metrics in (("Calibrated", result.calibrated), ("Best", result.best))
    ]
    return {
        "data": [
            {**_line("Chance", "@muted", "dot", 1), "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"},
            _curve(f"ROC (area {result.roc_auc:.3f})", roc.false_positive_rate, roc.recall, roc.threshold),
            *_operating_points(points),
        ],
        "layout": {
            "xaxis": {"title": {"text": "False positive rate (rows)"}, "range": [-0.02, 1.02]},
            "yaxis": {"title": {"text": "Recall (rows)"}, "range": [-0.02, 1.04]},
        },
    }


def _pr(result: EvaluationResult) -> Figure:
    pr, counts = result.pr, result.counts
    base = counts.anomalous_rows / counts.test_rows
    points = [
        (name, metrics.recall, metrics.precision)
        for name, metrics in (("Calibrated", result.calibrated), ("Best", result.best))
        if metrics.precision is not None
    ]
    return {
        "data": [
            {**_line("Chance", "@muted", "dot", 1), "x": [0, 1], "y": [base, base], "hoverinfo": "skip"},
            _curve(f"Precision-recall (area {result.pr_auc:.3f})", pr.recall, pr.precision, pr.threshold),
            *_operating_points(points),
        ],
        "layout": {
            "xaxis": {"title": {"text": "Recall (rows)"}, "range": [-0.02, 1.02]},
            "yaxis": {"title": {"text": "Precision (rows)"}, "range": [-0.02, 1.04]},
        },
    }


def _curve(name: str, x: Sequence[float], y: Sequence[float], threshold: Sequence[float]) -> Figure:
    return {
        **_line(name, "@score"),
        "x": list(x),
        "y": list(y),
        "customdata": list(threshold),
        "hovertemplate": "(%{x:.4f}, %{y:.4f}) at %{customdata:.4~g} nats<extra></extra>",
    }


def _operating_points(points: Sequence[tuple[str, float, float]]) -> list[Figure]:
    looks = {"Calibrated": ("@calibrated", "circle"), "Best": ("@best", "diamond")}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{name} threshold",
            "x": [x],
            "y": [y],
            "marker": {"color": looks[name][0], "symbol": looks[name][1], "size": 11},
            "hovertemplate": f"{name} threshold: (%{{x:.4f}}, %{{y:.4f}})<extra></extra>",
        }
        for name, x, y in points
    ]


def _histogram(series: Series, result: EvaluationResult) -> Figure:
    shares = [100 * rows / max(int(rows.sum()), 1) for rows in (series.normal, series.anomalous)]
    # A logarithmic axis has no zero: empty bins lie on its lower end.
    floor = min(float(share[share > 0].min()) for share in shares) / 2
    return {
        "data": [
            _steps(name, colour, dash, series.bin_edges, np.maximum(share, floor))
            for name, colour, dash, share in (
                ("Normal rows", "@score", "solid", shares[0]),
                ("Anomalous rows", "@missed", "dash", shares[1]),
            )
        ],
        "layout": {
            "xaxis": {"title": {"text": "Smoothed score (nats)"}},
            "yaxis": {
                "title": {"text": "Share of the rows (%)"},
                "type": "log",
                "range": [float(np.log10(floor)), 2],
                "dtick": 1,
                "exponentformat": "none",
            },
            "shapes": _threshold_lines(result, "x"),
        },
        "score_axis": "x",
    }


def _steps(
    name: str, colour: str, dash: str, edges: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]
) -> Figure:
    return {
        **_line(name, colour, dash),
        "x": [float(short_number(edge)) for edge in edges],
        "y": [*heights.tolist(), float(heights[-1])],
        "line": {"color": colour, "width": 2, "dash": dash, "shape": "hv"},
        "fill": "tozeroy",
        "fillcolor": f"{colour}/0.15",
        "hovertemplate": "%{y:.3~g} % of the rows from %{customdata:.4~g} nats<extra>" + name + "</extra>",
    }


def _training(info: BundleInfo) -> Figure:
    history = info.training.history
    epochs = [item.epoch for item in history]
    losses = (
        ("Training loss", [item.train_loss for item in history], "@score", "solid"),
        ("Validation loss", [item.val_loss for item in history], "@calibrated", "dash"),
    )
    best = {
        "type": "line",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "x0": info.training.best_epoch,
        "x1": info.training.best_epoch,
        "line": {"color": "@best", "width": 2, "dash": "dot"},
        "name": "Epoch of this model",
        "showlegend": True,
    }
    return {
        "data": [
            {**_line(name, colour, dash), "mode": "lines+markers", "x": epochs, "y": values}
            for name, values, colour, dash in losses
        ],
        "layout": {
            "xaxis": {"title": {"text": "Epoch"}, "tickformat": "d"},
            "yaxis": {"title": {"text": "Loss (nats per time step)"}},
            "shapes": [best],
            "hovermode": "x unified",
        },
    }


def _line(name: str, colour: str, dash: str = "solid", width: float = 2) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": {"color": colour, "width": width, "dash": dash},
    }


def _plotly_time(timestamp: int) -> str:
    return to_iso(timestamp).replace("T", " ").removesuffix("+00:00")
