import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.evaluation import gate
from container_component_src.evaluation.gate import GateResult, decide, read_gate
from container_component_src.evaluation.leads import leads
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.steps.evaluation import GateLimits
from tests.evaluation.gate_cases import baseline, evaluation

FRACTIONS = st.floats(0, 1)
RATES = st.floats(0, 1e4)
ALL = GateLimits(min_composite_f1=0.5, max_false_alarms_per_day=2.0, beat_baselines=True)
WEAK = baseline("z_score", pr_auc=0.3, composite_f1=0.2)
STRONG = baseline("isolation_forest", pr_auc=0.85, composite_f1=0.7)


def outcomes(result: GateResult) -> dict[str, tuple[bool, Any]]:
    return {item.name: (item.passed, item.margin) for item in result.conditions}


def test_a_model_that_meets_every_condition_passes() -> None:
    result = decide(evaluation(WEAK), ALL)
    assert result.passed
    assert outcomes(result) == {
        "composite_f1": (True, pytest.approx(0.2)),
        "false_alarms_per_day": (True, pytest.approx(0.5)),
        "pr_auc_above_baselines": (True, pytest.approx(0.5)),
        "composite_f1_above_baselines": (True, pytest.approx(0.5)),
    }
    assert result.reason == (
        "composite F1 0.7 is at least 0.5; false alarms a day 1.5 is at most 2; "
        "PR AUC 0.8 is above 0.3 of Z-score, the best baseline; "
        "composite F1 0.7 is above 0.2 of Z-score, the best baseline"
    )


def test_the_conditions_that_fail_are_named_with_how_much_is_missing() -> None:
    result = decide(evaluation(WEAK, STRONG, composite_f1=0.7, rate=7.0), ALL)
    assert not result.passed
    assert outcomes(result) == {
        "composite_f1": (True, pytest.approx(0.2)),
        "false_alarms_per_day": (False, -5.0),
        "pr_auc_above_baselines": (False, pytest.approx(-0.05)),
        "composite_f1_above_baselines": (False, 0.0),
    }
    assert result.reason == (
        "false alarms a day 7 must be at most 2 (5 too high); "
        "PR AUC 0.8 must be above 0.85 of Isolation forest, the best baseline (0.05 too low); "
        "composite F1 0.7 must be above 0.7 of Isolation forest, the best baseline"
    )


def test_a_limit_itself_is_good_enough() -> None:
    limits = GateLimits(min_composite_f1=0.7, max_false_alarms_per_day=1.5)
    assert outcomes(decide(evaluation(), limits)) == {
        "composite_f1": (True, 0.0),
        "false_alarms_per_day": (True, 0.0),
    }


def test_a_condition_that_is_not_asked_for_is_not_checked() -> None:
    result = decide(evaluation(STRONG, rate=1e6), GateLimits())
    assert (result.passed, [item.name for item in result.conditions]) == (True, ["composite_f1"])


def test_a_minimum_above_1_lets_no_model_pass() -> None:
    assert not decide(evaluation(composite_f1=1.0), GateLimits(min_composite_f1=1.1)).passed


def test_a_rate_that_cannot_be_measured_fails_its_condition() -> None:
    result = decide(evaluation(rate=None), GateLimits(max_false_alarms_per_day=2.0))
    assert not result.passed
    assert result.reason == (
        "false alarms a day must be at most 2, but cannot be measured: the test set has no time outside events"
    )
    assert decide(evaluation(rate=None), GateLimits()).passed


def test_baselines_that_the_evaluation_lacks_cannot_be_beaten() -> None:
    with pytest.raises(InputError, match="no baselines; run run_evaluation with --train-df-path"):
        decide(evaluation(), GateLimits(beat_baselines=True))


@given(FRACTIONS, FRACTIONS, RATES, RATES, FRACTIONS, FRACTIONS)
def test_a_condition_passes_as_its_margin_says(
    f1: float, least: float, rate: float, most: float, own: float, best: float
) -> None:
    result = evaluation(baseline("z_score", best, best), pr_auc=own, composite_f1=f1, rate=rate)
    limits = GateLimits(min_composite_f1=least, max_false_alarms_per_day=most, beat_baselines=True)
    found = decide(result, limits)
    for item in found.conditions:
        assert item.margin is not None
        assert item.passed == (item.margin > 0 or (item.margin == 0 and "baselines" not in item.name)), item
    assert found.passed == all(item.passed for item in found.conditions)
    beats = [item.passed for item in found.conditions if "baselines" in item.name]
    assert beats == [lead.holds for lead in leads(result)]


def test_every_condition_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EvaluationResult, "read", lambda uri: evaluation(rate=7.0))
    with caplog.at_level(logging.INFO):
        gate.check_gate("evaluation.json", GateLimits(max_false_alarms_per_day=2.0))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "passed: composite F1 0.7 is at least 0.3"),
        ("WARNING", "failed: false alarms a day 7 must be at most 2 (5 too high)"),
    ]


def test_metadata_has_no_value_that_the_pipeline_refuses() -> None:
    metadata = decide(evaluation(rate=None), GateLimits(max_false_alarms_per_day=2.0)).metadata()
    assert metadata["decision"] == "failed"
    assert metadata["composite_f1"] == "passed: composite F1 0.7 is at least 0.3"
    assert {type(value) for value in metadata.values()} == {str}


def test_the_file_is_read_with_the_evaluation_that_it_belongs_to(tmp_path: Path) -> None:
    path, result = str(tmp_path / "gate.json"), evaluation(STRONG, composite_f1=1 / 3, rate=None)
    written = decide(result, ALL)
    written.write(path)
    assert read_gate(path, result) == written
    with pytest.raises(InputError, match=r"gate\.json: not the gate of this evaluation; run check_gate on"):
        read_gate(path, evaluation(STRONG, composite_f1=0.34, rate=None))
    Path(path).write_text('{"passed": true}')
    with pytest.raises(InputError, match=r"gate\.json: not a result of the gate .*; run check_gate again"):
        read_gate(path, result)
