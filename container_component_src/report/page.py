"""The evaluation as one HTML file that needs nothing else: data, styles, scripts and plotly.js are inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo, open_info
from container_component_src.report.baselines import judgement
from container_component_src.report.figures import result_figures
from container_component_src.report.overview import Overview, read_overview, split_figure
from container_component_src.report.rendering import render
from container_component_src.report.score_plot import event_views
from container_component_src.report.series import Axis, Series, Window, event_windows, read_series
from container_component_src.report.signals import Signal, read_signals
from container_component_src.report.text import interval_texts
from container_component_src.report.trials import read_trials, trial_facts, trial_figures
from container_component_src.telemetry.dataset import Dataset


@dataclass(frozen=True)
class Telemetry:
    """URIs of the data that the evaluation goes back to, in the units of the archives."""

    whole: str  # dataset before the split
    train: str  # its splits, before they were scaled
    val: str
    test: str


def write_report(
    telemetry: Telemetry, scores_uri: str, evaluation_uri: str, bundle_uri: str, trials_uri: str, report_uri: str
) -> dict[str, Any]:
    """Write the report; scores and timestamps are read once, partition by partition, and the signals of the events.

    Args:
        telemetry: The data, unscaled.
        scores_uri: Dataset of scores that the evaluation wrote.
        evaluation_uri: JSON file of the evaluation.
        bundle_uri: The model bundle that was evaluated.
        trials_uri: CSV table of the tuning trials, or "" where there was no tuning.
        report_uri: Where the HTML file goes.

    Returns:
        The summary that the pipeline shows beside the artifact.

    Raises:
        InputError: An input is absent or damaged, or they do not belong together.
    """
    result = EvaluationResult.read(evaluation_uri)
    info = open_info(bundle_uri)
    scores = Dataset.open(scores_uri)
    if info.weights_sha256 != result.bundle_digest:
        raise InputError(
            f"{evaluation_uri}: evaluates another model than {bundle_uri}; name the bundle that it evaluated"
        )
    if scores.manifest.rows != result.counts.test_rows:
        raise InputError(
            f"{scores_uri}: {scores.manifest.rows} rows, but the evaluation has {result.counts.test_rows}; name the "
            f"scores that it wrote"
        )
    whole = Dataset.open(telemetry.whole)
    splits = {name: Dataset.open(getattr(telemetry, name)) for name in ("train", "val", "test")}
    trials = read_trials(trials_uri) if trials_uri else None
    axis, windows = Axis.of(result), event_windows(result)
    content = Content(
        result=result,
        info=info,
        overview=read_overview(whole, splits, info.thresholds.max_gap_ns or 0),
        series=read_series(scores, result, axis, windows),
        signals=read_signals(splits["test"], result, windows, info),
        windows=windows,
        axis=axis,
        trials=trials,
    )
    page = render_page(content).encode()
    storage.resolve(report_uri).write_bytes(page)
    return {"bytes": len(page), "events": result.counts.events, "trials": 0 if trials is None else len(trials)}


@dataclass(frozen=True)
class Content:
    """Everything that the page shows."""

    result: EvaluationResult
    info: BundleInfo
    overview: Overview
    series: Series
    signals: Sequence[Sequence[Signal]]  # by event
    windows: Sequence[Window]  # by event
    axis: Axis
    trials: pd.DataFrame | None


def render_page(content: Content) -> str:
    """The page as HTML."""
    result, series = content.result, content.series
    tuning = {} if content.trials is None else trial_figures(content.trials)
    figures = {
        "split": split_figure(content.overview, result.events),
        **result_figures(series, result, content.info),
        **tuning,
    }
    excesses = [item.excess for event in result.events for item in event.top_channels]
    return render(
        "page.html.jinja",
        result=result,
        info=content.info,
        overview=content.overview,
        judgement=judgement(result),
        intervals=interval_texts(result),
        largest_excess=max([*excesses, 0.0]) or 1.0,
        trial_facts="" if content.trials is None else trial_facts(content.trials),
        report_data={
            "figures": figures,
            "axis": vars(content.axis),
            "events": event_views(series, content.signals, content.windows, result),
        },
        plotly=Markup(get_plotlyjs()),  # noqa: S704 (a library's script, which ends no script element)
    )
