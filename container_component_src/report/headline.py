"""The evaluation in three lines, for the end of a run on a terminal."""

from collections.abc import Callable, Iterator

from container_component_src.evaluation.leads import Evaluated, baseline_name
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.report.text import fraction, metric_interval, rate


def headline(result: EvaluationResult) -> Iterator[str]:
    """Yield the metrics of the calibrated alarms as `name: text`, beside those of the best baseline.

    The best baseline is the one with the highest composite F1 at its calibrated threshold. Intervals are those of 95 %.
    """
    events = result.counts.events
    yield _line(result, "composite_f1", "composite F1", lambda item: fraction(item.calibrated.composite_f1))
    yield _line(result, "event_recall", "events found", lambda item: f"{item.calibrated.events_detected} of {events}")
    yield _line(
        result,
        "alarms_per_day",
        "alarms a day",
        lambda item: f"{rate(item.calibrated.alarms_per_day)}, false {rate(item.calibrated.false_alarms_per_day)}",
    )


def _line(result: EvaluationResult, metric: str, name: str, text: Callable[[Evaluated], str]) -> str:
    """Return the text of a metric, of the model and of the best baseline, each with the interval of the metric."""

    def of(item: Evaluated, unit: str = "") -> str:
        interval = item.intervals.get(metric)
        return text(item) + (f" ({unit}{metric_interval(metric, interval)})" if interval else "")

    line = f"{name}: {of(result, '95 %: ')}"
    if not result.baselines:
        return line
    best = max(result.baselines, key=lambda item: item.calibrated.composite_f1)
    return f"{line}; best baseline ({baseline_name(best)}) {of(best)}"
