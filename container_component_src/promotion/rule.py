"""Whether a new model, the challenger, replaces the deployed one, the champion."""

from dataclasses import dataclass

from container_component_src.evaluation.numbers import Finite, Fraction
from container_component_src.evaluation.result import Interval
from container_component_src.steps.promotion import PromotionLimits
from container_component_src.values import Frozen

_UNSEEN = "deploy it without a comparison with the pipeline parameter champion=none, or by deploy_to_kserve"


class Gain(Frozen):
    """Composite F1 of both models on the same rows, and what the challenger gains."""

    champion: Fraction
    challenger: Fraction
    interval: Interval | None  # 95 % of the gain over resamples of whole events; None if there are too few events
    champion_false_alarms_per_day: Finite | None
    challenger_false_alarms_per_day: Finite | None

    @property
    def estimate(self) -> float:
        """Composite F1 that the challenger gains; negative if it loses."""
        return self.challenger - self.champion

    def __str__(self) -> str:
        rates = (self.challenger_false_alarms_per_day, self.champion_false_alarms_per_day)
        shown = ["unknown" if rate is None else f"{rate:.3g}" for rate in rates]
        ends = [] if self.interval is None else [self.interval.low, self.interval.high]
        interval = " to ".join(map(_signed, ends)) or "unknown"
        return (
            f"composite F1 {self.challenger:.3f} against {self.champion:.3f} of the deployed model, a gain of "
            f"{_signed(self.estimate)} (95 % interval: {interval}); false alarms a day: {shown[0]} against {shown[1]}"
        )


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # and no -0.000


@dataclass(frozen=True)
class Evidence:
    """What the decision rests on.

    Attributes:
        failed_gate: Conditions of the gate that the challenger fails; None: it passes, or the gate is not asked.
        has_champion: Whether there is a champion.
        is_champion: Whether the challenger is the champion itself.
        problem: Why the champion cannot be compared; empty: it can.
        gain: What the challenger gains; None if the two are not compared.
        drift: Why the data of the champion counts as drifted; empty: it has not.
    """

    failed_gate: str | None = None
    has_champion: bool = True
    is_champion: bool = False
    problem: str = ""
    gain: Gain | None = None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why, in one line."""

    promoted: bool
    reason: str


def decide(evidence: Evidence, limits: PromotionLimits) -> Decision:
    """Decide whether the challenger replaces the champion.

    A challenger must have shown that it is better: the whole interval of its gain must lie above `min_gain`. If the
    data of the champion has drifted, it need not be better, only not worse. With few events, even a much worse model
    has an interval that reaches zero. So both the estimate counts, which may be lower by `max_loss`, and the interval,
    which shows losses that are small but certain. A champion that cannot be compared is not replaced unseen.
    """
    if evidence.failed_gate is not None:
        return Decision(False, f"the model does not pass the gate: {evidence.failed_gate}")
    if not evidence.has_champion:
        return Decision(True, "there is no deployed model to compare with")
    if evidence.is_champion:
        return Decision(True, "this model is the deployed one")
    if evidence.gain is None:
        return Decision(False, f"the deployed model cannot be compared: {evidence.problem}; {_UNSEEN}")
    return _by_gain(evidence.gain, evidence.drift, limits)


def _by_gain(gain: Gain, drift: tuple[str, ...], limits: PromotionLimits) -> Decision:
    interval = gain.interval
    if interval and interval.low > limits.min_gain:
        return Decision(True, f"{gain}; the interval is above {limits.min_gain:g}")
    wanted = f"the interval must be above {limits.min_gain:g}" if interval else "there are too few events to be sure"
    if not drift:
        return Decision(False, f"{gain}; {wanted}")
    drifted = f"the data of the deployed model has drifted ({'; '.join(drift)})"
    if interval and interval.high < 0:
        return Decision(False, f"{gain}; {drifted}, but the new model is worse: the interval is below 0")
    if gain.estimate < -limits.max_loss:
        return Decision(False, f"{gain}; {drifted}, but the new model loses more than {limits.max_loss:g}")
    return Decision(True, f"{gain}; {drifted}, and the new model is not worse")
