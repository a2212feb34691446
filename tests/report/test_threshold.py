"""The alarm rule in words, in every case."""

from typing import Any

import pytest

from container_component_src.alarms.expected_rate import ExpectedRate
from container_component_src.alarms.rule import AlarmRule
from container_component_src.evaluation.result import Drift, EvaluationResult, Interval, ThresholdMetrics
from container_component_src.model.bundle_info import Calibration
from container_component_src.report.threshold import (
    expectation_in_words,
    origin_in_words,
    rule_in_words,
    shift_in_words,
)
from container_component_src.steps.calibration import AlarmSettings


def calibration(clear_below: float = 8.0, **settings: Any) -> Calibration:
    return Calibration(
        settings=AlarmSettings(**settings), rule=AlarmRule(raise_above=8.0, clear_below=clear_below),
        method="quantile 0.99 of the scores", false_alarms_per_day=None, rows=86_400, days=12.5, highest_median=1.0,
        channel_nats=(1.0,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (
            calibration(min_alarm_steps=1, merge_alarm_steps=0),
            "An alarm starts when the smoothed score exceeds the alarm threshold, 8 nats, and lasts while the score "
            "exceeds it and the data has no gap.",
        ),
        (
            calibration(6.5, min_alarm_steps=3, merge_alarm_steps=5),
            "An alarm starts when the smoothed score exceeds the alarm threshold, 8 nats, and lasts while the score "
            "exceeds the clear threshold, 6.5 nats, and the data has no gap. It is raised once it has lasted 3 time "
            "steps. Alarms that are at most 5 time steps apart are one.",
        ),
    ],
    ids=["one level", "all"],
)
def test_the_rule(known: Calibration, expected: str) -> None:
    assert rule_in_words(known) == expected


ROBUST = " It is at least the quantile of nine in ten parts of the data, so that unreported anomalies matter little."


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"threshold_method": "quantile"}, ""),
        ({"threshold_method": "robust_quantile"}, ROBUST),
        ({"threshold_method": "robust_quantile", "target_false_alarms_per_day": 0.5}, ""),
    ],
)
def test_how_the_threshold_was_found(settings: dict[str, Any], more: str) -> None:
    assert origin_in_words(calibration(**settings)) == (
        "The alarm threshold was found without labels, on 12.5 d of calibration data (86\u202f400 rows) that the model "
        f"was not trained on: quantile 0.99 of the scores.{more}"
    )


def result(drift: Drift, observed: float | None, expected: ExpectedRate | None, interval: bool) -> EvaluationResult:
    metrics: dict[str, Any] = {"false_alarms_per_day": observed}
    known: dict[str, Any] = {
        "calibrated": ThresholdMetrics.model_construct(**metrics),
        "expected_false_alarms_per_day": expected,
        "drift": drift,
        "intervals": {"false_alarms_per_day": Interval(low=0.4, high=4.0)} if interval else {},
    }
    return EvaluationResult.model_construct(**known)


EXPECTED = ExpectedRate(estimate=1.0, low=0.2, high=3.1)
START = "In normal operation, 1 (95 %: 0.2 to 3.1) false alarms a day are expected. The test data has "


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (result(Drift.NONE, 2.0, EXPECTED, True), f"{START}2 (95 %: 0.4 to 4) outside events, which agrees."),
        (
            result(Drift.MORE, 5.0, EXPECTED, False),
            f"{START}5 outside events: more than expected. Calibrate again on recent data, or check what has changed.",
        ),
        (
            result(Drift.FEWER, 0.0, EXPECTED, False),
            f"{START}0 outside events: fewer than expected. Calibrate again on recent data, or check what has changed.",
        ),
        (
            result(Drift.UNKNOWN, 2.0, None, False),
            "The calibration data covers no time, so it is not known whether there are more false alarms than "
            "expected.",
        ),
        (
            result(Drift.UNKNOWN, None, EXPECTED, False),
            "The test data has no time outside events, so it is not known whether there are more false alarms than "
            "expected.",
        ),
    ],
    ids=["agrees", "more", "fewer", "not expected", "not observed"],
)
def test_what_was_expected(found: EvaluationResult, expected: str) -> None:
    assert expectation_in_words(found) == expected


def test_a_rise_of_the_scores_is_said() -> None:
    plain = result(Drift.NONE, 2.0, EXPECTED, True)
    risen, usual = (plain.model_copy(update={"scores_shifted": shifted}) for shifted in (True, False))
    assert shift_in_words(risen).startswith("The scores have drifted: the median score of the normal test rows")
    assert shift_in_words(usual) == ""
