"""Runs that have ended or are under way, here or on a platform, and how two of them differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from container_component_src.errors import InputError

# Of the model at its calibrated threshold, as the evaluation names them; each has a 95 % interval.
COMPARED_METRICS = (
    *("composite_f1", "event_f05", "event_recall", "alarm_precision", "alarms_per_day", "false_alarms_per_day"),
    *("redundancy", "median_detection_delay_s", "p90_detection_delay_s", "pr_auc", "roc_auc"),
)
Pair = tuple[Any, Any]  # a value of the first run and that of the second one; None if it is not known


@dataclass(frozen=True)
class PastStep:
    """A step of a run.

    Attributes:
        name: Name, in a loop with the iteration.
        status: Status, such as `succeeded` or `cached`.
        seconds: Duration; that of a cached step is the one of when it ran.
    """

    name: str
    status: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """What is known of a run. Only ID and status always are.

    Attributes:
        id: ID of the run.
        status: Status, such as `succeeded`, `failed` or `running`.
        started: Start.
        seconds: Duration of the whole run.
        parameters: Parameters that differ from their defaults; None if they are not known.
        metrics: Metrics of the model by name.
        deployed: Whether the run deployed the model; None if it is not known.
        service: Name of the service.
        commit: Commit that the pipeline was compiled from.
        image: Image of the steps; empty if they were processes of this machine.
        data: Archives, reports, and the period and size of the data.
        steps: Steps in the order of the run.
        model: Where the model is.
        report: Path or address of the report.
        logs: Path or address of the logs.
    """

    id: str
    status: str
    started: datetime | None = None
    seconds: float | None = None
    parameters: Mapping[str, Any] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    deployed: bool | None = None
    service: str = ""
    commit: str = ""
    image: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[PastStep] = ()
    model: str = ""
    report: str = ""
    logs: str = ""

    def document(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        return {**asdict(self), "started": self.started.isoformat() if self.started else None}


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        runs: The runs.
        parameters: Values of the parameters that differ, by name; None stands for the default.
        metrics: Values of the compared metrics that one of the runs has, by name.
        data: Values of what tells the data apart, by name.
        seconds: Durations of the steps by name.
    """

    runs: tuple[PastRun, PastRun]
    parameters: Mapping[str, Pair]
    metrics: Mapping[str, Pair]
    data: Mapping[str, Pair]
    seconds: Mapping[str, Pair]

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "runs": [run.document() for run in self.runs],
            "parameters": self.parameters,
            "metrics": {
                name: {"values": values, "difference": difference(values)} for name, values in self.metrics.items()
            },
            "data": self.data,
            "seconds": self.seconds,
        }


def compare(first: PastRun, second: PastRun) -> Comparison:
    """Compare two runs."""
    given = (first.parameters or {}, second.parameters or {})
    durations = [{step.name: step.seconds for step in run.steps} for run in (first, second)]
    metrics = _pairs(first.metrics, second.metrics)
    return Comparison(
        runs=(first, second),
        parameters={name: pair for name, pair in _pairs(*given).items() if pair[0] != pair[1]},
        metrics={name: metrics[name] for name in COMPARED_METRICS if name in metrics},
        data=_pairs(first.data, second.data),
        seconds=_pairs(*durations),
    )


def difference(values: Pair) -> float | None:
    """Return the second value minus the first; None if one of them is not known."""
    first, second = values
    return None if first is None or second is None else second - first


def shared_parameters(runs: Iterable[PastRun]) -> dict[str, Any]:
    """Return the changed parameters that have the same values in all runs whose parameters are known.

    A single run shares nothing.
    """
    known = [run.parameters for run in runs if run.parameters is not None]
    if len(known) < 2:
        return {}
    first, *others = known
    return {
        name: value for name, value in first.items() if all(name in other and other[name] == value for other in others)
    }


def find_run(runs: Iterable[PastRun], run_id: str) -> PastRun:
    """Return the run of an ID, or of the first characters of one.

    Raises:
        InputError: No run has this ID, or several begin with it.
    """
    found = [run for run in runs if run_id and run.id.startswith(run_id)]
    exact = [run for run in found if run.id == run_id] or found
    if len(exact) != 1:
        problem = f"{len(found)} runs have an ID that begins with '{run_id}'" if found else f"no run '{run_id}'"
        raise InputError(problem, fix="give an ID of the list without --compare")
    return exact[0]


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """Return the values of both by name, in the order of the first and then of the second."""
    return {name: (first.get(name), second.get(name)) for name in dict.fromkeys([*first, *second])}
