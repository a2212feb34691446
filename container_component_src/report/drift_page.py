"""A check for drift as an HTML page: a table of all channels, and plots of those that have drifted."""

from collections.abc import Sequence

import numpy as np

from container_component_src import storage
from container_component_src.drift.detection import SCORES, Comparison
from container_component_src.drift.result import DriftReason, DriftReport, ValueDrift
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.plain_plots import plain_plots
from container_component_src.report.rendering import render
from container_component_src.report.traces import Figure, level, line, milliseconds, significant, with_gaps
from container_component_src.telemetry.distribution import Distribution

MOST_BARS = 40  # channels in the plot of the stability indices
MOST_PLOTS = 12  # channels with a plot of their values
_USUAL = (0.05, 0.95)  # shares between which usual values lie
REASONS = {
    DriftReason.DISTRIBUTION: "distribution",
    DriftReason.MISSING: "missing values",
    DriftReason.OUTSIDE: "outside the range",
}


def write_drift_page(report: DriftReport, comparison: Comparison, info: BundleInfo, uri: str) -> None:
    """Write the page; it needs no network.

    Args:
        report: The check.
        comparison: What was compared.
        info: The model.
        uri: Output HTML file.
    """
    page = render(
        "drift_page.html.jinja",
        report=report,
        reasons=REASONS,
        plots=plain_plots(drift_figures(report, comparison, info)),
        shown=[name or "score" for name in _shown(report)],
    )
    storage.resolve(uri).write_bytes(page.encode())


def drift_figures(report: DriftReport, comparison: Comparison, info: BundleInfo) -> list[Figure]:
    """Return the stability indices, and for the series that have drifted most their values over time."""
    series = {name: (number, reference) for number, (name, reference) in enumerate(comparison.references.items())}
    scales = _scales(info)
    found = {**report.channels, **({} if report.scores is None else {SCORES: report.scores})}
    return [
        _indices(report),
        *(
            _values(name, found[name], comparison, *series[name], scales.get(name, (0.0, 1.0)))
            for name in _shown(report)
        ),
    ]


def _shown(report: DriftReport) -> Sequence[str]:
    """Return the names of the series with a plot of their own: the channels that have drifted, or the first one."""
    names = list(report.drifted)[:MOST_PLOTS] or list(report.channels)[:1]
    return names if report.scores is None else [*names, SCORES]


def _scales(info: BundleInfo) -> dict[str, tuple[float, float]]:
    """Return the centre and the scale of each channel, in engineering units."""
    scaler = info.scaler
    if scaler is None:
        return {}
    return dict(zip(scaler.channels, zip(scaler.centre, scaler.scale, strict=True), strict=True))


def _indices(report: DriftReport) -> Figure:
    bars = list(report.channels.items())[:MOST_BARS]
    return {
        "data": [
            {
                "type": "bar",
                "name": label,
                "x": [name for name, channel in bars if channel.drifted is drifted],
                "y": [significant(channel.psi or 0, 3) for _, channel in bars if channel.drifted is drifted],
                "marker": {"color": colour},
                "hovertemplate": "%{x}: %{y}<extra></extra>",
            }
            for label, drifted, colour in (("Drifted", True, "@missed"), ("Not drifted", False, "@muted"))
        ],
        "layout": {
            "xaxis": {"tickangle": -60, "categoryorder": "array", "categoryarray": [name for name, _ in bars]},
            "yaxis": {"title": {"text": "Population stability index"}, "rangemode": "tozero"},
            "shapes": [level("y", report.limits.psi_limit, "Limit", "@calibrated", "dash")],
            "showlegend": True,
            "margin": {"b": 220, "t": 30},
            "height": 520,
        },
    }


def _values(
    name: str,
    found: ValueDrift,
    comparison: Comparison,
    number: int,
    reference: Distribution,
    scale: tuple[float, float],
) -> Figure:
    """Return the mean of a series in each part of the period, with its usual values before."""
    centre, unit = scale
    period = comparison.period
    means = centre + unit * period.means(number)
    edges = np.array(reference.edges)[np.searchsorted(reference.shares, _USUAL)]
    low, high = (significant(centre + unit * edge, 6) for edge in edges)
    since = [] if found.since is None else [level("x", milliseconds(found.since), "Start of the drift", "@missed")]
    return {
        "data": [
            {
                **line(f"Mean over {period.length / 3.6e12:.3g} h", "@score"),
                "x": [milliseconds(period.start_of(part)) for part in range(len(means))],
                "y": with_gaps(means, 6),
                "connectgaps": False,
            }
        ],
        "layout": {
            "title": {"text": name or "Smoothed score (nats)"},
            "xaxis": {"type": "date"},
            "yaxis": {"title": {"text": "Value"}},
            "shapes": [
                level("y", low, "90 % of the reference lie between these lines", "@detected", "dot"),
                {**level("y", high, "", "@detected", "dot"), "showlegend": False},
                *since,
            ],
            "showlegend": True,
            "height": 320,
            "margin": {"t": 50, "b": 40},
        },
    }
