"""The evaluation in three lines, for the end of a run on a terminal."""

from collections.abc import Iterator

from container_component_src.evaluation.leads import Evaluated, baseline_name, leads
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.report.text import metric_interval, metric_text, short_number

_NAMES = {"composite_f1": "composite F1", "event_recall": "events found", "alarms_per_day": "alarms a day"}


def headline(result: EvaluationResult) -> Iterator[str]:
    """Yield the metrics of the calibrated alarms as `name: text`, with 95 % intervals, beside those of a baseline.

    It is the baseline with the highest composite F1 at its calibrated threshold; the first line names it.
    """
    best = next((lead.baseline for lead in leads(result) if lead.metric == "composite_f1"), None)
    owner = f"best baseline, {baseline_name(best)}" if best else ""
    for metric, name in _NAMES.items():
        yield f"{name}: {_text(result, metric, '95 %: ')}" + (f"; {owner}: {_text(best, metric)}" if best else "")
        owner = "baseline"


def _text(detector: Evaluated, metric: str, label: str = "") -> str:
    calibrated, interval = detector.calibrated, detector.intervals.get(metric)
    text = metric_text(metric, getattr(calibrated, metric))
    text += f" ({label}{metric_interval(metric, interval)})" if interval else ""
    false = f", {short_number(calibrated.false_alarms_per_day)} of them false"
    return text + (false if metric == "alarms_per_day" else "")
