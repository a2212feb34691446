"""Evaluation report as one self-contained HTML file: data, styles, scripts and plotly.js are inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from container_component_src import run_record, storage
from container_component_src.alarms.files import to_csv
from container_component_src.errors import InputError
from container_component_src.evaluation.gate import GateResult, read_gate
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.model.bundle_info import BundleInfo, open_info
from container_component_src.promotion.result import Comparison, read_comparison
from container_component_src.report.alarms import ShownAlarms, read_shown_alarms
from container_component_src.report.baselines import baseline_verdict
from container_component_src.report.figures import result_figures
from container_component_src.report.overview import Overview, read_overview, split_figure
from container_component_src.report.rendering import render
from container_component_src.report.score_plot import alarm_views, event_views
from container_component_src.report.series import (
    ScoreAxis,
    Series,
    Window,
    alarm_windows,
    event_windows,
    read_series,
)
from container_component_src.report.signals import Signal, read_signals
from container_component_src.report.subsystems import events_by_subsystem
from container_component_src.report.text import interval_texts
from container_component_src.report.threshold import threshold_in_words
from container_component_src.report.trials import TrialRow, read_trials, trial_figures, trial_summary
from container_component_src.run_record import RunRecord
from container_component_src.steps.data import SETS
from container_component_src.steps.evaluation import VisualizeResults
from container_component_src.steps.shared import ReportSettings
from container_component_src.telemetry.dataset import Dataset


@dataclass(frozen=True)
class Content:
    """Content of the page."""

    result: EvaluationResult
    alarms: ShownAlarms
    gate: GateResult | None
    comparison: Comparison | None
    info: BundleInfo
    overview: Overview
    series: Series
    signals: Sequence[Sequence[Signal]]  # by event
    windows: Sequence[Window]  # by event, then by shown alarm
    axis: ScoreAxis
    trials: Sequence[TrialRow] | None
    run: RunRecord | None


def write_report(paths: VisualizeResults) -> dict[str, Any]:
    """Write the report; all datasets are read once, partition by partition.

    Args:
        paths: Inputs of the report, and its file.

    Returns:
        Metadata that the pipeline shows beside the artifact.

    Raises:
        InputError: An input is missing or damaged, or the inputs belong to different runs.
    """
    content = read_content(paths)
    page = render_page(content).encode()
    storage.resolve(paths.report_path).write_bytes(page)
    trials = 0 if content.trials is None else len(content.trials)
    counts = {"events": content.result.counts.events, "alarms": content.alarms.total, "trials": trials}
    return {"bytes": len(page), **counts}


def read_content(paths: VisualizeResults) -> Content:
    """Read what the page shows; the errors are those of `write_report`."""
    result, info = EvaluationResult.read(paths.evaluation_path), open_info(paths.bundle_path)
    scores = Dataset.open(paths.scores_path)
    if info.version != result.bundle_digest:
        raise InputError(
            f"{paths.evaluation_path}: not the evaluation of the model {paths.bundle_path}",
            fix="name the bundle that was evaluated",
        )
    evaluated = result.counts.test_rows + result.counts.rare_nominal_rows
    if scores.manifest.rows != evaluated:
        raise InputError(
            f"{paths.scores_path}: {scores.manifest.rows} rows, but the evaluation has {evaluated}",
            fix="name the scores that the evaluation wrote",
        )
    whole = Dataset.open(paths.df_path)
    splits = {name: Dataset.open(getattr(paths, f"{name}_df_path")) for name in SETS}
    shown = read_shown_alarms(paths.alarms_path, info.version, result.events)
    alarms = [item.alarm for item in shown.alarms]
    axis, windows = ScoreAxis.of(result), event_windows(result, alarms)
    all_windows = (*windows, *alarm_windows(result, alarms))
    return Content(
        result=result,
        alarms=shown,
        gate=read_gate(paths.gate_path, result) if paths.gate_path else None,
        comparison=read_comparison(paths.comparison_path, info.version) if paths.comparison_path else None,
        info=info,
        overview=read_overview(whole, splits, info.max_gap_ns or 0),
        series=read_series(scores, result, axis, all_windows),
        signals=read_signals(splits["test"], result, windows, info),
        windows=all_windows,
        axis=axis,
        trials=read_trials(paths.trials_path) if paths.trials_path else None,
        run=run_record.read(paths.run_path) if paths.run_path else None,
    )


def render_page(content: Content) -> str:
    """Return the page as HTML."""
    result, series, alarms = content.result, content.series, content.alarms.alarms
    tuning = {} if content.trials is None else trial_figures(content.trials)
    figures = {
        "split": split_figure(content.overview, result.events),
        **result_figures(series, result, content.info, alarms),
        **tuning,
    }
    calibration, events = content.info.calibrated, len(result.events)
    rule = calibration.rule
    excesses = [item.excess for event in result.events for item in event.top_channels]
    return render(
        "page.html.jinja",
        result=result,
        alarms=content.alarms,
        gate=content.gate,
        comparison=content.comparison,
        info=content.info,
        overview=content.overview,
        title=(content.run.origin if content.run else ReportSettings()).title,
        run=content.run,
        written=datetime.now(UTC),
        verdict=baseline_verdict(result),
        intervals=interval_texts(result),
        threshold_words=threshold_in_words(calibration, result),
        subsystems=events_by_subsystem(result.events, calibration.subsystems),
        largest_excess=max([*excesses, 0.0]) or 1.0,
        trial_summary="" if content.trials is None else trial_summary(content.trials),
        report_data={
            "figures": figures,
            "axis": vars(content.axis),
            "events": event_views(series.windows[:events], content.signals, content.windows[:events], result),
            "alarms": alarm_views(series.windows[events:], content.windows[events:], alarms),
            "levels": {"raise": rule.raise_above, "clear": rule.clear_below},
            "alarms_csv": to_csv(item.alarm for item in alarms),
        },
        plotly=Markup(get_plotlyjs()),  # noqa: S704 (a library's script, which contains no "</script")
    )
