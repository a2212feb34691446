"""Comparison of the model with the baselines, in words."""

from collections.abc import Sequence

from container_component_src.evaluation.leads import Lead, baseline_name, comparable, leads
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.report.text import interval_text
from container_component_src.steps.training import Detector


def detector_name(detector: Detector) -> str:
    """Return the display name of a detector."""
    return "VAE" if detector is Detector.VAE else detector.value


def baseline_verdict(result: EvaluationResult) -> str:
    """Return whether the model beats the baselines, in one sentence; "" if there are no baselines.

    As for the gate, it beats them if all `leads` hold.
    """
    found = leads(result)
    if behind := [lead for lead in found if not lead.holds]:
        return f"The model does not beat the baselines: {'; '.join(map(_behind, behind))}."
    return _ahead(result, found) if found else ""


def _behind(lead: Lead) -> str:
    own, best = comparable(lead.own, lead.best)
    return f"{baseline_name(lead.baseline)} reaches {best} in {lead.label}, the model {own}"


def _ahead(result: EvaluationResult, found: Sequence[Lead]) -> str:
    """Return by how much the model leads, and which of its leads are uncertain."""
    amounts = [f"{lead.own - lead.best:+.3g} in {lead.label} over {baseline_name(lead.baseline)}" for lead in found]
    intervals = {
        f"in {lead.label} over {baseline_name(item)}": item.advantage[lead.metric]
        for lead in found
        for item in result.baselines
        if lead.metric in item.advantage
    }
    uncertain = [f"{interval_text(item, sign=True)} {lead}" for lead, item in intervals.items() if item.low <= 0]
    lines = [f"The model beats all {len(result.baselines)} baselines ({', '.join(amounts)})."]
    if uncertain:
        lines.append(f"This is uncertain: the 95 % interval of its lead includes zero ({', '.join(uncertain)}).")
    return " ".join(lines)
