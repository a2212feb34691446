import pytest

from container_component_src.evaluation.result import Interval
from container_component_src.promotion.rule import Evidence, Gain, decide
from container_component_src.steps.promotion import PromotionLimits

DRIFT = ("5 of 44 channels",)


def gain(champion: float, challenger: float, *ends: float) -> Gain:
    return Gain(
        champion=champion,
        challenger=challenger,
        interval=Interval(low=ends[0], high=ends[1]) if ends else None,
        champion_false_alarms_per_day=2.5,
        challenger_false_alarms_per_day=None,
    )


CASES = {
    "no champion": (Evidence(has_champion=False), True, "there is no deployed model"),
    "no champion, but it fails the gate": (
        Evidence(failed_gate="composite F1 0.2 must be at least 0.3", has_champion=False),
        False,
        "does not pass the gate: composite F1 0.2 must be at least 0.3",
    ),
    "the champion again": (Evidence(is_champion=True), True, "this model is the deployed one"),
    "the champion again, which no longer passes the gate": (
        Evidence(failed_gate="too low", is_champion=True),
        False,
        "does not pass the gate",
    ),
    "a champion that cannot be compared": (
        Evidence(problem="s3://b/m: no model bundle", drift=DRIFT),
        False,
        "cannot be compared: s3://b/m: no model bundle; deploy it without a comparison with the pipeline parameter "
        "champion=none",
    ),
    "surely better": (Evidence(gain=gain(0.5, 0.6, 0.01, 0.2)), True, "the interval is above 0"),
    "better by less than asked for": (Evidence(gain=gain(0.5, 0.6, 0.0, 0.2)), False, "must be above 0"),
    "better, but not surely": (
        Evidence(gain=gain(0.5, 0.6, -0.05, 0.2)),
        False,
        "composite F1 0.600 against 0.500 of the deployed model, a gain of +0.100 (95 % interval: -0.050 to +0.200); "
        "false alarms a day: unknown against 2.5; the interval must be above 0",
    ),
    "better by one event": (Evidence(gain=gain(0.5, 0.9)), False, "there are too few events to be sure"),
    "better by one event, with drift": (Evidence(gain=gain(0.5, 0.9), drift=DRIFT), True, "is not worse"),
    "equal, with drift": (Evidence(gain=gain(0.5, 0.5, -0.1, 0.1), drift=DRIFT), True, "drifted (5 of 44 channels)"),
    "hardly worse, with drift": (Evidence(gain=gain(0.5, 0.485, -0.1, 0.1), drift=DRIFT), True, "is not worse"),
    "hardly worse, but surely, with drift": (
        Evidence(gain=gain(0.5, 0.485, -0.02, -0.01), drift=DRIFT),
        False,
        "is worse: the interval is below 0",
    ),
    "worse, with drift and few events": (
        Evidence(gain=gain(0.5, 0.3, -0.5, 0.1), drift=DRIFT),
        False,
        "loses more than 0.02",
    ),
    "surely better, with drift": (Evidence(gain=gain(0.5, 0.6, 0.01, 0.2), drift=DRIFT), True, "interval is above 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_model_replaces_the_deployed_one(name: str) -> None:
    evidence, promoted, text = CASES[name]
    decision = decide(evidence, PromotionLimits())
    assert decision.promoted is promoted
    assert text in decision.reason
    assert "\n" not in decision.reason


def test_the_limits_move_the_decision() -> None:
    better = Evidence(gain=gain(0.5, 0.6, 0.01, 0.2))
    assert not decide(better, PromotionLimits(min_gain=0.01)).promoted
    assert decide(better, PromotionLimits(min_gain=-1)).promoted
    worse = Evidence(gain=gain(0.5, 0.3, -0.5, 0.1), drift=DRIFT)
    assert decide(worse, PromotionLimits(max_loss=0.2)).promoted
