"""What the report says of the gate of the deployment, which must agree with its verdict on the baselines."""

import re

import pytest

from container_component_src.evaluation.gate import decide
from container_component_src.report.baselines import baseline_verdict
from container_component_src.report.rendering import render
from container_component_src.steps.evaluation import GateLimits
from tests.evaluation.gate_cases import baseline, evaluation

UNASKED = "The gate does not ask whether the model beats the baselines"


@pytest.mark.parametrize("least", [0.3, 1.1])
@pytest.mark.parametrize("beat_baselines", [False, True])
@pytest.mark.parametrize("other", [(0.7, 0.6), (0.9, 0.6), (0.7, 0.7), (0.8, 0.9)])
def test_the_gate_and_the_verdict_agree(least: float, beat_baselines: bool, other: tuple[float, float]) -> None:
    result = evaluation(baseline("z_score", *other))
    verdict = baseline_verdict(result)
    limits = GateLimits(min_composite_f1=least, max_false_alarms_per_day=1.0, beat_baselines=beat_baselines)
    for checked in (limits, limits.model_copy(update={"max_false_alarms_per_day": 2.0})):
        gate = decide(result, checked)
        text = render("gate.html.jinja", gate=gate, verdict=verdict)
        shown = re.findall(r'<li class="(\w+)">(.+)</li>', text)
        assert shown == [("passed" if item.passed else "failed", item.text) for item in gate.conditions]
        assert ("The model passes the gate of the deployment." in text) is gate.passed
        assert ("The model does not pass the gate, so it is not deployed." in text) is not gate.passed
        assert (UNASKED in text) is not beat_baselines
        beats = verdict.startswith("The model beats")
        assert beats is not verdict.startswith("The model does not beat")
        met = all(item.passed for item in gate.conditions if item.name.endswith("_above_baselines"))
        assert not beat_baselines or met is beats


def test_without_baselines_the_gate_does_not_speak_of_them() -> None:
    assert UNASKED not in render("gate.html.jinja", gate=decide(evaluation(), GateLimits()), verdict="")
