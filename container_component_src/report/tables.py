"""The cards and tables of the report as HTML; every text that comes from a file is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from container_component_src.evaluation.result import EvaluationResult, EventResult, ThresholdMetrics
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.report.overview import Overview
from container_component_src.report.text import (
    NONE,
    duration,
    fraction,
    rate,
    short_number,
    span,
    utc,
    whole,
)
from container_component_src.telemetry.smoothing import NANOSECONDS_PER_SECOND


def verdict(result: EvaluationResult) -> str:
    """The outcome in a sentence or two."""
    metrics, counts = result.calibrated, result.counts
    text = (
        f"With the calibrated threshold, {metrics.events_detected} of {counts.events} reported anomalies raise an alarm"
    )
    if metrics.median_detection_delay_s is not None:
        text += f", half of them within {duration(metrics.median_detection_delay_s)} of their start"
    if metrics.false_alarms_per_day is not None:
        text += f"; outside of them an alarm begins {rate(metrics.false_alarms_per_day)} times a day"
    return escape(f"{text}.")


def facts(result: EvaluationResult, overview: Overview) -> str:
    """What was judged, in a sentence."""
    counts = result.counts
    return (
        f"Telemetry from {utc(overview.start)} to {utc(overview.end)} UTC: {whole(overview.rows)} rows of "
        f"{whole(overview.channels)} channels. Judged on the {whole(counts.test_rows)} rows about "
        f"{whole(counts.events)} reported anomalies, none of which the model was trained on."
    )


def cards(result: EvaluationResult) -> str:
    """The key metrics at the calibrated threshold, with their intervals."""
    metrics = result.calibrated
    items = (
        ("Composite F1", "composite_f1", fraction(metrics.composite_f1), "main"),
        ("Event recall", "event_recall", fraction(metrics.event_recall), ""),
        ("Precision", "precision", fraction(metrics.precision), ""),
        ("False alarms a day", "false_alarms_per_day", rate(metrics.false_alarms_per_day), ""),
        ("ROC AUC", "roc_auc", fraction(result.roc_auc), ""),
        ("PR AUC", "pr_auc", fraction(result.pr_auc), ""),
        ("Detection delay", "", duration(metrics.median_detection_delay_s), ""),
        ("Threshold", "", f"{short_number(metrics.threshold)} nats", ""),
    )
    notes = {"Detection delay": "median of the detected events", "Threshold": "calibrated on validation scores"}
    return "\n".join(
        f'<div class="card {kind}"><dt>{name}</dt><dd><strong>{value}</strong>'
        f"<span>{notes.get(name) or interval_text(result, key)}</span></dd></div>"
        for name, key, value, kind in items
    )


def interval_text(result: EvaluationResult, metric: str) -> str:
    """The interval of a metric, or that it has none."""
    found = result.intervals.get(metric)
    if found is None:
        return "no interval from so few events"
    if metric == "false_alarms_per_day":
        return f"95 %: {rate(found.low)} to {rate(found.high)}"
    return f"95 %: {span(found)}"


def comparison(result: EvaluationResult) -> str:
    """Rows of the table that sets both thresholds side by side."""

    def row(name: str, values: Iterable[str], metric: str = "") -> str:
        calibrated, best = values
        low_high = interval_text(result, metric).removeprefix("95 %: ") if metric in result.intervals else ""
        cells = "".join(f'<td class="number">{value}</td>' for value in (calibrated, low_high, best))
        return f'<tr><th scope="row">{name}</th>{cells}</tr>'

    both: Sequence[ThresholdMetrics] = (result.calibrated, result.best)
    return "\n".join(
        [
            row("Threshold (nats)", (short_number(item.threshold) for item in both)),
            row("Composite F1", (fraction(item.composite_f1) for item in both), "composite_f1"),
            row("Precision (rows)", (fraction(item.precision) for item in both), "precision"),
            row("Recall (rows)", (fraction(item.recall) for item in both), "recall"),
            row("F1 (rows)", (fraction(item.f1) for item in both), "f1"),
            row("Event recall", (fraction(item.event_recall) for item in both), "event_recall"),
            row("Events detected", (f"{item.events_detected} of {result.counts.events}" for item in both)),
            row("Median detection delay", (duration(item.median_detection_delay_s) for item in both)),
            row("False alarms", (whole(item.false_alarms) for item in both)),
            row("False alarms a day", (rate(item.false_alarms_per_day) for item in both), "false_alarms_per_day"),
            row("Rows in alarm, anomalous", (whole(item.true_positives) for item in both)),
            row("Rows in alarm, normal", (whole(item.false_positives) for item in both)),
        ]
    )


def event_rows(result: EvaluationResult) -> str:
    """Body of the event table; `data-sort` holds what a column is sorted by."""
    largest = max((item.excess for event in result.events for item in event.top_channels), default=0.0)
    return "\n".join(_event_row(number, event, largest) for number, event in enumerate(result.events))


def _event_row(number: int, event: EventResult, largest_excess: float) -> str:
    seconds = (event.end - event.start) / NANOSECONDS_PER_SECOND
    state = ("detected", "Detected") if event.detected else ("missed", "Missed")
    delay = "" if event.delay_s is None else event.delay_s
    channels = "".join(
        f'<li><span class="bar" style="--share:{max(item.excess, 0) / (largest_excess or 1):.3f}"></span>'
        f"<span>{escape(item.channel)}</span><span class='number'>{item.excess:+.3g}</span></li>"
        for item in event.top_channels
    )
    top = escape(event.top_channels[0].channel) if event.top_channels else NONE
    return (
        f'<tr data-event="{number}" class="{state[0]}">'
        f'<td data-sort="{escape(event.id)}"><button type="button" class="zoom">{escape(event.id)}</button></td>'
        f'<td data-sort="{escape(event.title)}"><span class="title">{escape(event.title) or NONE}</span>'
        f'<span class="symbol">{escape(event.symbol)}</span></td>'
        f'<td data-sort="{event.start}">{utc(event.start)}</td>'
        f'<td class="number" data-sort="{seconds}">{duration(seconds)}</td>'
        f'<td data-sort="{int(event.detected)}"><span class="state">{state[1]}</span></td>'
        f'<td class="number" data-sort="{delay}">{duration(event.delay_s)}</td>'
        f'<td class="number" data-sort="{event.peak_score}">{short_number(event.peak_score)}</td>'
        f'<td data-sort="{top}"><details><summary>{top}</summary><ul class="channels">{channels}</ul></details></td>'
        "</tr>"
    )


def definitions(values: Mapping[str, object]) -> str:
    """Rows of a table of names and values."""
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in values.items()
    )


def data_summary(result: EvaluationResult, info: BundleInfo, overview: Overview) -> dict[str, str]:
    """What the telemetry holds."""
    gaps, missing = overview.gaps, sum(overview.missing.values())
    dropped = info.scaler.dropped if info.scaler else ()
    most = sorted(overview.missing.items(), key=lambda item: -item[1])[:3]
    return {
        "Time range (UTC)": f"{utc(overview.start)} to {utc(overview.end)}",
        "Rows": whole(overview.rows),
        "Channels": whole(overview.channels),
        "Constant channels, left out": ", ".join(dropped) or "none",
        "Gaps (steps above ten usual ones)": whole(len(gaps)),
        "Time in gaps, longest gap": f"{duration(gaps.sum() / NANOSECONDS_PER_SECOND)}, "
        f"{duration(gaps.max() / NANOSECONDS_PER_SECOND)}"
        if len(gaps)
        else NONE,
        "Missing values": f"{whole(missing)} of {whole(overview.rows * overview.channels)}",
        "Most missing in": ", ".join(f"{name} ({whole(count)})" for name, count in most) or NONE,
        "Reported anomalies with rows": whole(result.counts.events),
    }


def split_summary(result: EvaluationResult, overview: Overview) -> dict[str, str]:
    """How the telemetry was sampled, split and scaled."""
    notes, counts = overview.notes, result.counts
    anomalous = 100 * counts.anomalous_rows / counts.test_rows
    names = {
        "sample_frac": "Rows sampled, as a fraction",
        "window_hours": "Test data about an anomaly (hours)",
        "block_hours": "Blocks drawn for validation (hours)",
        "seed": "Seed of the draw of blocks",
    }
    rows = {
        f"{name} rows": f"{whole(overview.part_rows[part])} ({100 * overview.part_rows[part] / overview.rows:.3g} %)"
        for part, name in (("train", "Training"), ("val", "Validation"), ("test", "Test"))
    }
    return {
        **rows,
        "Anomalous test rows": f"{whole(counts.anomalous_rows)} ({anomalous:.3g} %)",
        "Test period (UTC)": f"{utc(counts.start)} to {utc(counts.end)}",
        "Observed test time": duration(counts.observed_days * 86_400),
        **{name: f"{notes[key]:g}" for key, name in names.items() if key in notes},
    }


def model_summary(result: EvaluationResult, info: BundleInfo) -> dict[str, str]:
    """Hyperparameters and how the threshold came about."""
    training, thresholds = info.training, info.thresholds
    parameters = training.hyperparameters
    return {
        "Latent dimensions": str(parameters.latent_dim),
        "Hidden layers": ", ".join(str(size) for size in parameters.hidden_dims),
        "Beta (weight of the KL divergence)": short_number(parameters.beta),
        "Learning rate": short_number(parameters.lr),
        "Batch size": whole(parameters.batch_size),
        "Training nodes": whole(training.nodes),
        "Seed": str(result.seed),
        "Epochs run, epoch of this model": f"{training.epochs}, {training.best_epoch}",
        "Validation loss": f"{training.val_loss:.5g} nats per time step",
        "Smoothing window (time steps)": str(result.smoothing_window),
        "Calibrated threshold": f"{thresholds.score:.5g} nats ({thresholds.method}: {thresholds.quantile:g})",
        "Scaling": info.scaler.type.value if info.scaler else "none",
        "Weights (SHA-256)": f"{result.bundle_digest[:16]}…",
    }
