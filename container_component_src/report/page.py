"""Evaluation report as one self-contained HTML file: data, styles, scripts and plotly.js are inside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo, open_info
from container_component_src.report.baselines import baseline_verdict
from container_component_src.report.figures import result_figures
from container_component_src.report.overview import Overview, read_overview, split_figure
from container_component_src.report.rendering import render
from container_component_src.report.score_plot import event_views
from container_component_src.report.series import ScoreAxis, Series, Window, event_windows, read_series
from container_component_src.report.signals import Signal, read_signals
from container_component_src.report.text import interval_texts
from container_component_src.report.trials import read_trials, trial_figures, trial_summary
from container_component_src.telemetry.dataset import Dataset


@dataclass(frozen=True)
class Telemetry:
    """URIs of the unscaled datasets."""

    whole: str  # before the split
    splits: Mapping[str, str]  # by the name of the set


@dataclass(frozen=True)
class Content:
    """Content of the page."""

    result: EvaluationResult
    info: BundleInfo
    overview: Overview
    series: Series
    signals: Sequence[Sequence[Signal]]  # by event
    windows: Sequence[Window]  # by event
    axis: ScoreAxis
    trials: pd.DataFrame | None


def write_report(
    telemetry: Telemetry, scores_uri: str, evaluation_uri: str, bundle_uri: str, trials_uri: str, report_uri: str
) -> dict[str, Any]:
    """Write the report; all datasets are read once, partition by partition.

    Args:
        telemetry: Unscaled datasets.
        scores_uri: Dataset of scores that the evaluation wrote.
        evaluation_uri: JSON file of the evaluation.
        bundle_uri: Model bundle that was evaluated.
        trials_uri: CSV table of the tuning trials, or "" if there was no tuning.
        report_uri: Output HTML file.

    Returns:
        Metadata that the pipeline shows beside the artifact.

    Raises:
        InputError: An input is missing or damaged, or the inputs belong to different runs.
    """
    content = read_content(telemetry, scores_uri, evaluation_uri, bundle_uri, trials_uri)
    page = render_page(content).encode()
    storage.resolve(report_uri).write_bytes(page)
    trials = 0 if content.trials is None else len(content.trials)
    return {"bytes": len(page), "events": content.result.counts.events, "trials": trials}


def read_content(
    telemetry: Telemetry, scores_uri: str, evaluation_uri: str, bundle_uri: str, trials_uri: str
) -> Content:
    """Read what the page shows; arguments and errors are those of `write_report`."""
    result, info, scores = EvaluationResult.read(evaluation_uri), open_info(bundle_uri), Dataset.open(scores_uri)
    if info.weights_sha256 != result.bundle_digest:
        raise InputError(
            f"{evaluation_uri}: not the evaluation of the model {bundle_uri}", fix="name the bundle that was evaluated"
        )
    if scores.manifest.rows != result.counts.test_rows:
        raise InputError(
            f"{scores_uri}: {scores.manifest.rows} rows, but the evaluation has {result.counts.test_rows}",
            fix="name the scores that the evaluation wrote",
        )
    whole = Dataset.open(telemetry.whole)
    splits = {name: Dataset.open(uri) for name, uri in telemetry.splits.items()}
    trials = read_trials(trials_uri) if trials_uri else None
    axis, windows = ScoreAxis.of(result), event_windows(result)
    return Content(
        result=result,
        info=info,
        overview=read_overview(whole, splits, info.max_gap_ns or 0),
        series=read_series(scores, result, axis, windows),
        signals=read_signals(splits["test"], result, windows, info),
        windows=windows,
        axis=axis,
        trials=trials,
    )


def render_page(content: Content) -> str:
    """Return the page as HTML."""
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
        verdict=baseline_verdict(result),
        intervals=interval_texts(result),
        largest_excess=max([*excesses, 0.0]) or 1.0,
        trial_summary="" if content.trials is None else trial_summary(content.trials),
        report_data={
            "figures": figures,
            "axis": vars(content.axis),
            "events": event_views(series, content.signals, content.windows, result),
        },
        plotly=Markup(get_plotlyjs()),  # noqa: S704 (a library's script, which contains no "</script")
    )
