"""Plots of the report as plotly.js figures: pure functions from results to JSON values.

A colour is a name with an `@`; the script of the page replaces it by the colour of the light or dark theme.
`score_axis` names the axis that holds scores, so that the script can switch it between linear and compressed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from container_component_src.alarms.rule import AlarmRule
from container_component_src.arrays import Float64Array
from container_component_src.evaluation.leads import baseline_name
from container_component_src.evaluation.result import BaselineResult, EvaluationResult, ThresholdMetrics
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.alarms import ShownAlarm
from container_component_src.report.score_plot import time_figure
from container_component_src.report.series import Series
from container_component_src.report.text import fraction
from container_component_src.report.traces import Figure, count_axis, level, line, significant, threshold_lines

_BASELINE_LOOKS = {
    "z_score": ("@olive", "dot"),
    "mahalanobis": ("@violet", "dash"),
    "pca_residual": ("@brown", "dashdot"),
    "isolation_forest": ("@slate", "longdash"),
    "windowed_kmeans": ("@olive", "longdashdot"),
    "windowed_pca": ("@brown", "longdashdot"),
}


def result_figures(
    series: Series, result: EvaluationResult, info: BundleInfo, alarms: Sequence[ShownAlarm]
) -> dict[str, Figure]:
    """Return all plots except those of the split and the tuning, by the name that the page uses."""
    rule = info.calibrated.rule
    return {
        "time": time_figure(series, result, rule, alarms),
        "thresholds": _thresholds(result, rule),
        "roc": _roc(result),
        "pr": _pr(result),
        "histogram": _histogram(series, result, rule),
        "training": _training(info),
    }


def _thresholds(result: EvaluationResult, rule: AlarmRule) -> Figure:
    curve = result.threshold_curve
    columns = (
        ("Composite F1", curve.composite_f1, "@ink", "solid", 3),
        ("Precision (rows)", curve.precision, "@score", "solid", 2),
        ("Event recall", curve.event_recall, "@detected", "dash", 2),
        ("Recall (rows)", curve.recall, "@muted", "dot", 2),
    )
    return {
        "data": [
            {
                **line(name, colour, dash, width),
                "x": list(curve.threshold),
                "y": list(values),
                "hovertemplate": f"{name} %{{y:.3~r}} at %{{customdata:,.3~r}} nats<extra></extra>",
            }
            for name, values, colour, dash, width in columns
        ],
        "layout": {
            "xaxis": {"title": {"text": "Threshold (nats)"}},
            "yaxis": {"title": {"text": "Value"}, "range": [0, 1.02]},
            "shapes": threshold_lines(result, "x", rule),
        },
        "score_axis": "x",
    }


def _roc(result: EvaluationResult) -> Figure:
    roc = result.roc
    return {
        "data": [
            _chance(0, 1),
            *(
                _baseline(item, item.roc_auc, item.roc.false_positive_rate, item.roc.recall)
                for item in result.baselines
            ),
            _curve(f"Model {fraction(result.roc_auc)}", roc.false_positive_rate, roc.recall, roc.threshold),
            *_operating_points(
                result, lambda at: (at.false_positives / (at.false_positives + at.true_negatives), at.recall)
            ),
        ],
        "layout": {
            "xaxis": {"title": {"text": "False positive rate (rows)"}, "range": [-0.02, 1.02]},
            "yaxis": {"title": {"text": "Recall (rows)"}, "range": [-0.02, 1.04]},
        },
    }


def _pr(result: EvaluationResult) -> Figure:
    pr, counts = result.pr, result.counts
    base = counts.anomalous_rows / counts.test_rows
    return {
        "data": [
            _chance(base, base),
            *(_baseline(item, item.pr_auc, item.pr.recall, item.pr.precision) for item in result.baselines),
            _curve(f"Model {fraction(result.pr_auc)}", pr.recall, pr.precision, pr.threshold),
            *_operating_points(result, lambda at: (at.recall, at.precision)),
        ],
        "layout": {
            "xaxis": {"title": {"text": "Recall (rows)"}, "range": [-0.02, 1.02]},
            "yaxis": {"title": {"text": "Precision (rows)"}, "range": [-0.02, 1.04]},
        },
    }


def _chance(first: float, last: float) -> Figure:
    """Return the line of a random scorer, last in the legend."""
    return {
        **line("Chance", "@muted", "dot", 1),
        "legendrank": 2000,
        "x": [0, 1],
        "y": [first, last],
        "hoverinfo": "skip",
    }


def _curve(name: str, x: Sequence[float], y: Sequence[float], threshold: Sequence[float]) -> Figure:
    return {
        **line(name, "@score", width=3),
        "legendrank": 1,
        "x": list(x),
        "y": list(y),
        "customdata": list(threshold),
        "hovertemplate": "(%{x:.3~r}, %{y:.3~r}) at %{customdata:,.3~r} nats<extra></extra>",
    }


def _baseline(item: BaselineResult, area: float, x: Sequence[float], y: Sequence[float]) -> Figure:
    name = baseline_name(item)
    colour, dash = _BASELINE_LOOKS.get(item.name, ("@muted", "solid"))
    return {
        **line(f"{name} {fraction(area)}", colour, dash, width=1.5),
        "x": list(x),
        "y": list(y),
        "hovertemplate": f"{name} (%{{x:.3~r}}, %{{y:.3~r}})<extra></extra>",
    }


def _operating_points(
    result: EvaluationResult, coordinates: Callable[[ThresholdMetrics], tuple[float, float | None]]
) -> list[Figure]:
    """Return a marker at the coordinates of each threshold; undefined ones are omitted."""
    markers = []
    for name, metrics, colour, symbol in (
        ("Calibrated", result.calibrated, "@calibrated", "circle"),
        ("Best", result.best, "@best", "diamond"),
    ):
        x, y = coordinates(metrics)
        if y is not None:
            markers.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{name} threshold",
                    "x": [x],
                    "y": [y],
                    "marker": {"color": colour, "symbol": symbol, "size": 11},
                    "hovertemplate": f"{name} threshold: (%{{x:.3~r}}, %{{y:.3~r}})<extra></extra>",
                }
            )
    return markers


def _histogram(series: Series, result: EvaluationResult, rule: AlarmRule) -> Figure:
    shares = [100 * rows / max(int(rows.sum()), 1) for rows in (series.normal, series.anomalous)]
    # A logarithmic axis has no zero, so empty bins lie at its lower end.
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
                "title": {"text": "Share of rows (%)"},
                "type": "log",
                "range": [float(np.log10(floor)), 2],
                "dtick": 1,
                "exponentformat": "none",
            },
            "shapes": threshold_lines(result, "x", rule),
        },
        "score_axis": "x",
    }


def _steps(name: str, colour: str, dash: str, edges: Float64Array, heights: Float64Array) -> Figure:
    return {
        **line(name, colour, dash),
        "x": [significant(edge, 4) for edge in edges],
        "y": [*heights.tolist(), float(heights[-1])],
        "line": {"color": colour, "width": 2, "dash": dash, "shape": "hv"},
        "fill": "tozeroy",
        "fillcolor": f"{colour}/0.15",
        "hovertemplate": "%{y:,.3~r} % of the rows from %{customdata:,.3~r} nats<extra>" + name + "</extra>",
    }


def _training(info: BundleInfo) -> Figure:
    history = info.training.history
    epochs = [item.epoch for item in history]
    losses = (
        ("Training loss", [item.train_loss for item in history], "@score", "solid"),
        ("Validation loss", [item.val_loss for item in history], "@calibrated", "dash"),
    )
    return {
        "data": [
            {**line(name, colour, dash), "mode": "lines+markers", "x": epochs, "y": values}
            for name, values, colour, dash in losses
        ],
        "layout": {
            "xaxis": count_axis("Epoch", epochs[-1]),
            "yaxis": {"title": {"text": "Loss (nats per time step)"}},
            "shapes": [level("x", info.training.best_epoch, "Best epoch", "@best", "dot")],
            "hovermode": "x unified",
        },
    }
