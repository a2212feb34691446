"""The gate of the deployment: conditions on the evaluation of a model, and which of them fail by how much."""

import logging
import operator
from typing import Literal

from container_component_src import storage
from container_component_src.errors import InputError
from container_component_src.evaluation.leads import baseline_name, comparable, leads
from container_component_src.evaluation.numbers import Finite
from container_component_src.evaluation.result import EvaluationResult
from container_component_src.steps.evaluation import GateLimits
from container_component_src.values import Frozen

Relation = Literal["at least", "at most", "above"]
_HOLDS = {"at least": operator.ge, "at most": operator.le, "above": operator.gt}

_log = logging.getLogger(__name__)


class Condition(Frozen):
    """A condition, and whether a model meets it."""

    name: str
    value: Finite | None  # None if it is undefined, which fails the condition
    limit: Finite
    passed: bool
    margin: Finite | None  # between value and limit; negative if the condition fails
    text: str  # all of this for people


class GateResult(Frozen):
    """Result of `check_gate`, stored as a JSON file."""

    passed: bool
    conditions: tuple[Condition, ...]
    limits: GateLimits

    @property
    def reason(self) -> str:
        """The conditions that fail, in one line; all of them if none fails."""
        return "; ".join(condition.text for condition in self.conditions if condition.passed is self.passed)

    def metadata(self) -> dict[str, str]:
        """Return what the pipeline shows beside the artifact."""
        decision = {"decision": _outcome(self.passed)}
        return decision | {item.name: f"{_outcome(item.passed)}: {item.text}" for item in self.conditions}

    def write(self, uri: str) -> None:
        """Write the JSON file."""
        storage.resolve(uri).write_bytes(self.model_dump_json(indent=1).encode())


def check_gate(evaluation_uri: str, limits: GateLimits) -> GateResult:
    """Check and log every condition of the gate; one that fails is no error.

    Args:
        evaluation_uri: JSON file of the evaluation.
        limits: Limits of the conditions.

    Raises:
        InputError: The file is not an evaluation, or it lacks the baselines to compare with.
    """
    gate = decide(EvaluationResult.read(evaluation_uri), limits)
    for condition in gate.conditions:
        level = logging.INFO if condition.passed else logging.WARNING
        _log.log(level, "%s: %s", _outcome(condition.passed), condition.text)
    return gate


def decide(result: EvaluationResult, limits: GateLimits) -> GateResult:
    """Return which conditions a model meets; arguments and errors are those of `check_gate`."""
    calibrated = result.calibrated
    found = [_condition("composite_f1", "composite F1", calibrated.composite_f1, "at least", limits.min_composite_f1)]
    if most := limits.max_false_alarms_per_day:
        rate = calibrated.false_alarms_per_day
        found.append(_condition("false_alarms_per_day", "false alarms a day", rate, "at most", most))
    if limits.beat_baselines:
        if not result.baselines:
            raise InputError(
                "--beat-baselines: the evaluation has no baselines", fix="run run_evaluation with --train-df-path"
            )
        found += [
            _condition(
                f"{lead.metric}_above_baselines",
                lead.label,
                lead.own,
                "above",
                lead.best,
                f" of {baseline_name(lead.baseline)}, the best baseline",
            )
            for lead in leads(result)
        ]
    passed = all(condition.passed for condition in found)
    return GateResult(passed=passed, conditions=tuple(found), limits=limits)


def read_gate(uri: str, result: EvaluationResult) -> GateResult:
    """Read the JSON file of the gate of an evaluation.

    Raises:
        InputError: As for `open_gate`; or the file belongs to another evaluation.
    """
    gate = open_gate(uri)
    if gate != decide(result, gate.limits):
        raise InputError(f"{uri}: not the gate of this evaluation", fix="run check_gate on the evaluation")
    return gate


def open_gate(uri: str) -> GateResult:
    """Read the JSON file that `check_gate` wrote.

    Raises:
        InputError: The file is missing, or is not a result of the gate.
    """
    return storage.read_document(uri, GateResult, "a result of the gate", "run check_gate again")


def _condition(
    name: str, label: str, value: float | None, relation: Relation, limit: float, owner: str = ""
) -> Condition:
    if value is None:
        text = f"{label} must be {relation} {limit:g}, but cannot be measured: the test set has no time outside events"
        return Condition(name=name, value=None, limit=limit, passed=False, margin=None, text=text)
    passed = bool(_HOLDS[relation](value, limit))
    shown, wanted = comparable(value, limit)
    if passed:
        text = f"{label} {shown} is {relation} {wanted}{owner}"
    else:
        side = "high" if relation == "at most" else "low"
        distance = f" ({abs(value - limit):.3g} too {side})" if value != limit else ""
        text = f"{label} {shown} must be {relation} {wanted}{owner}{distance}"
    margin = limit - value if relation == "at most" else value - limit
    return Condition(name=name, value=value, limit=limit, passed=passed, margin=margin, text=text)


def _outcome(passed: bool) -> str:
    return "passed" if passed else "failed"
