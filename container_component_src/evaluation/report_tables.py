"""The cards and tables of the report as HTML; every text that comes from a file is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from container_component_src.evaluation.report_text import NONE, duration, fraction, rate, short_number, utc, whole
from container_component_src.evaluation.result import EvaluationResult, EventResult, ThresholdMetrics
from container_component_src.evaluation.scoring import NANOSECONDS_PER_SECOND
from container_component_src.model.bundle_info import BundleInfo


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


def cards(result: EvaluationResult) -> str:
    """The key metrics at the calibrated threshold."""
    metrics, best = result.calibrated, result.best
    found = f"{metrics.events_detected} of {result.counts.events} events"
    items = (
        ("Composite F1", fraction(metrics.composite_f1), f"best threshold: {fraction(best.composite_f1)}", "main"),
        ("Event recall", fraction(metrics.event_recall), f"{found} detected", ""),
        ("Precision", fraction(metrics.precision), f"best threshold: {fraction(best.precision)}", ""),
        ("Detection delay", duration(metrics.median_detection_delay_s), "median of detected events", ""),
        ("False alarms", rate(metrics.false_alarms_per_day), "a day outside of events", ""),
        ("ROC AUC", fraction(result.roc_auc), "over all thresholds, by rows", ""),
        ("PR AUC", fraction(result.pr_auc), "over all thresholds, by rows", ""),
        ("Threshold", short_number(metrics.threshold), "nats, calibrated", ""),
    )
    return "\n".join(
        f'<div class="card {kind}"><dt>{name}</dt><dd><strong>{value}</strong><span>{escape(note)}</span></dd></div>'
        for name, value, note, kind in items
    )


def comparison(result: EvaluationResult) -> str:
    """Rows of the table that sets both thresholds side by side."""

    def row(name: str, values: Iterable[str]) -> str:
        cells = "".join(f'<td class="number">{value}</td>' for value in values)
        return f'<tr><th scope="row">{name}</th>{cells}</tr>'

    both: Sequence[ThresholdMetrics] = (result.calibrated, result.best)
    return "\n".join(
        [
            row("Threshold (nats)", (short_number(item.threshold) for item in both)),
            row("Composite F1", (fraction(item.composite_f1) for item in both)),
            row("Precision (rows)", (fraction(item.precision) for item in both)),
            row("Recall (rows)", (fraction(item.recall) for item in both)),
            row("F1 (rows)", (fraction(item.f1) for item in both)),
            row("Events detected", (f"{item.events_detected} of {result.counts.events}" for item in both)),
            row("Median detection delay", (duration(item.median_detection_delay_s) for item in both)),
            row("False alarms", (whole(item.false_alarms) for item in both)),
            row("False alarms a day", (rate(item.false_alarms_per_day) for item in both)),
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


def data_summary(result: EvaluationResult, info: BundleInfo) -> dict[str, str]:
    """What the model was trained and judged on."""
    counts = result.counts
    anomalous = 100 * counts.anomalous_rows / counts.test_rows
    return {
        "Training rows": whole(info.training.train_rows),
        "Validation rows": whole(counts.val_rows),
        "Test rows": whole(counts.test_rows),
        "Anomalous test rows": f"{whole(counts.anomalous_rows)} ({anomalous:.3g} %)",
        "Reported events with rows": whole(counts.events),
        "Channels": whole(counts.channels),
        "Test period (UTC)": f"{utc(counts.start)} to {utc(counts.end)}",
        "Observed test time": duration(counts.observed_days * 86_400),
        "Scaling": info.scaler.type.value if info.scaler else "none",
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
        "Smoothing window": f"{result.smoothing_window} time steps",
        "Calibrated threshold": f"{thresholds.score:.5g} nats ({thresholds.method}: {thresholds.quantile:g})",
        "Weights (SHA-256)": f"{result.bundle_digest[:16]}…",
    }
