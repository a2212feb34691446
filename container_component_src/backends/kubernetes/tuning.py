"""Tuning on a cluster: a Katib experiment whose trials are Jobs of the training program."""

import logging
import math
from datetime import datetime

from kubeflow import katib
from kubernetes import client

from container_component_src.cluster.access import Cluster, Manifest, to_manifest
from container_component_src.cluster.children import child
from container_component_src.cluster.conditions import condition_of, holds, states
from container_component_src.cluster.kinds import EXPERIMENT, TRIAL
from container_component_src.cluster.logs import last_lines, pods
from container_component_src.cluster.pod_settings import PodSettings
from container_component_src.cluster.pods import check, container, pod_template, reachable
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.model.arguments import Hyperparameters, checked, training_command
from container_component_src.tuning.collector import METRIC_FILTER, OBJECTIVE
from container_component_src.tuning.experiment import (
    Algorithm,
    EarlyStopping,
    Experiment,
    Trial,
    TrialState,
    TuningResult,
)

CONTAINER = "training"
EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"  # that Katib gives to trials
JOB_LABEL = "job-name"  # that Kubernetes gives to the pods of a Job
START_UP_TIME = 900.0  # seconds for Katib's own pods, and images, before and between trials
SHOWN_TRIALS = 3  # failed ones, in the error
_BUNDLE = "/tmp/bundle"  # noqa: S108 - in the trial's container, which ends with the trial
_ALGORITHMS = {Algorithm.BAYESIAN: "bayesianoptimization"}  # where Katib calls it otherwise

logger = logging.getLogger(__name__)


def manifest(step: Step, pods: PodSettings, experiment: Experiment) -> Manifest:
    """The Experiment of a tuning.

    Raises:
        InputError: An option that a cluster needs is missing, or pods cannot reach the data.
    """
    check(pods, "a Katib experiment")
    name = step.name("tuning", EXPERIMENT)
    built = to_manifest(
        katib.V1beta1Experiment(
            api_version=EXPERIMENT.api_version,
            kind=EXPERIMENT.name,
            spec=katib.V1beta1ExperimentSpec(
                objective=katib.V1beta1ObjectiveSpec(
                    type="minimize",
                    objective_metric_name=OBJECTIVE,
                    metric_strategies=[katib.V1beta1MetricStrategy(name=OBJECTIVE, value="min")],
                ),
                algorithm=_algorithm(experiment),
                early_stopping=_early_stopping(experiment),
                parameters=_parameters(experiment),
                max_trial_count=experiment.trial_count,
                parallel_trial_count=experiment.parallel_count,
                max_failed_trial_count=min(experiment.max_failed_trials, experiment.trial_count),
                resume_policy="Never",  # nothing of the experiment is left when it has ended
                metrics_collector_spec=katib.V1beta1MetricsCollectorSpec(
                    collector=katib.V1beta1CollectorSpec(kind="StdOut"),
                    source=katib.V1beta1SourceSpec(filter=katib.V1beta1FilterSpec(metrics_format=[METRIC_FILTER])),
                ),
                trial_template=_trial_template(step, pods, experiment),
            ),
        )
    )
    return {**built, "metadata": step.metadata(name, pods.namespace)}


def tune(cluster: Cluster, step: Step, pods: PodSettings, experiment: Experiment) -> TuningResult:
    """Run an experiment to its end.

    Raises:
        InputError: The experiment cannot be built as the options say.
        StepError: The API refused something, more trials failed than the experiment allows, none succeeded, or the
            experiment took too long or was deleted.
    """
    wanted = manifest(step, pods, experiment)
    name = wanted["metadata"]["name"]
    with child(cluster, step, EXPERIMENT, wanted, failed=lambda found: holds(found, "Failed")):
        logger.info(
            "Katib experiment %s: %d trials, %d at a time", name, experiment.trial_count, experiment.parallel_count
        )
        ended = _wait(cluster, name, experiment)
        trials = _trials(cluster, name)
        best = ended["status"].get("currentOptimalTrial", {}).get("bestTrialName")
        if holds(ended, "Failed") or not best:
            raise StepError(_failure(cluster, ended, trials))
        return TuningResult(trials=tuple(_trial(number, found) for number, found in enumerate(trials)))


def _algorithm(experiment: Experiment) -> katib.V1beta1AlgorithmSpec:
    name = _ALGORITHMS.get(experiment.algorithm, experiment.algorithm.value)
    seed = [katib.V1beta1AlgorithmSetting(name="random_state", value=str(experiment.seed))]
    settings = None if experiment.algorithm is Algorithm.GRID else seed  # a grid draws nothing
    return katib.V1beta1AlgorithmSpec(algorithm_name=name, algorithm_settings=settings)


def _early_stopping(experiment: Experiment) -> katib.V1beta1EarlyStoppingSpec | None:
    if experiment.trial_early_stopping is EarlyStopping.NONE:
        return None
    return katib.V1beta1EarlyStoppingSpec(algorithm_name=experiment.trial_early_stopping.value)


def _parameters(experiment: Experiment) -> list[katib.V1beta1ParameterSpec]:
    """Choices as texts, which is how Katib takes numbers too."""
    return [
        katib.V1beta1ParameterSpec(
            name=name,
            parameter_type="categorical" if isinstance(choices[0], str) else "discrete",
            feasible_space=katib.V1beta1FeasibleSpace(list=[str(choice) for choice in choices]),
        )
        for name, choices in experiment.search_space.choices().items()
    ]


def _trial_template(step: Step, pods: PodSettings, experiment: Experiment) -> katib.V1beta1TrialTemplate:
    names = list(experiment.search_space.choices())
    data = {name: reachable(getattr(experiment, name)) for name in ("train_df_path", "val_df_path")}
    arguments = experiment.model_copy(update=data).arguments(experiment.search_space.point(0), _BUNDLE)
    command = training_command(arguments, {name: f"${{trialParameters.{name}}}" for name in names})
    job = client.V1Job(
        api_version="batch/v1",
        kind="Job",
        spec=client.V1JobSpec(
            backoff_limit=0,  # a second try of a trial would be another trial
            active_deadline_seconds=math.ceil(experiment.trial_timeout),
            template=pod_template(pods, container(CONTAINER, pods, command, step.run_id), step.labels),
        ),
    )
    return katib.V1beta1TrialTemplate(
        primary_container_name=CONTAINER,
        retain=True,  # Katib would delete the Job of a failed trial with its log; it goes with the experiment
        trial_parameters=[katib.V1beta1TrialParameterSpec(name=name, reference=name) for name in names],
        trial_spec=to_manifest(job),
    )


def _wait(cluster: Cluster, name: str, experiment: Experiment) -> Manifest:
    rounds = math.ceil(experiment.trial_count / experiment.parallel_count)
    timeout = rounds * (experiment.trial_timeout + START_UP_TIME)
    shown = ""
    what = f"Katib experiment {name} to end; see that its trials start, or raise --trial-timeout"
    for found in states(cluster, EXPERIMENT, name, timeout, what):
        progress = _progress(found)
        if progress != shown:
            logger.info("%s", progress)
            shown = progress
        if holds(found, "Succeeded") or holds(found, "Failed"):
            return found
    raise AssertionError  # `states` ends with an error


def _progress(found: Manifest) -> str:
    """One line: trials by state, and the best so far."""
    status = found.get("status", {})
    counts = {
        state: status.get(f"trials{state[0].upper()}{state[1:]}", 0) for state in ("running", "succeeded", "failed")
    }
    counts["stopped early"] = status.get("trialsEarlyStopped", 0)
    counts["without metrics"] = status.get("trialMetricsUnavailable", 0)
    shown = [f"{count} {state}" for state, count in counts.items() if count or state in ("running", "succeeded")]
    best = _objective(status.get("currentOptimalTrial", {}))
    return "trials: " + ", ".join(shown) + (f"; best {OBJECTIVE} {best:.6g}" if best is not None else "")


def _trials(cluster: Cluster, name: str) -> list[Manifest]:
    """The trials in the order in which they were created."""
    found = cluster.list(TRIAL, f"{EXPERIMENT_LABEL}={name}")
    return sorted(found, key=lambda trial: (trial["metadata"].get("creationTimestamp", ""), trial["metadata"]["name"]))


def _trial(number: int, found: Manifest) -> Trial:
    status = found.get("status", {})
    assignments = {item["name"]: item["value"] for item in found["spec"]["parameterAssignments"]}
    state, failure = _state(found)
    return Trial(
        number=number,
        hyperparameters=checked(Hyperparameters, assignments),
        state=state,
        objective=_objective(status) if state is not TrialState.FAILED else None,
        seconds=_seconds(status),
        failure=failure,
    )


def _state(found: Manifest) -> tuple[TrialState, str]:
    """How a trial ended, and what went wrong."""
    for condition, state in (("Succeeded", TrialState.SUCCEEDED), ("EarlyStopped", TrialState.EARLY_STOPPED)):
        if holds(found, condition):
            return state, ""
    for condition in ("MetricsUnavailable", "Failed", "Killed"):
        if holds(found, condition):
            said = condition_of(found, condition)
            return TrialState.FAILED, said.get("message") or said.get("reason") or condition
    return TrialState.FAILED, "had not ended when the experiment did"


def _objective(status: Manifest) -> float | None:
    """The smallest report of the objective; None where there is none."""
    for metric in status.get("observation", {}).get("metrics") or []:
        if metric["name"] == OBJECTIVE:
            try:
                value = float(metric["min"])
            except ValueError:  # "unavailable"
                return None
            return value if math.isfinite(value) else None
    return None


def _seconds(status: Manifest) -> float:
    if not (status.get("startTime") and status.get("completionTime")):
        return 0.0
    start, end = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))
    return (end - start).total_seconds()


def _failure(cluster: Cluster, ended: Manifest, trials: list[Manifest]) -> str:
    """Why an experiment failed: what Katib says, and the last lines of trials that failed."""
    name = ended["metadata"]["name"]
    said = condition_of(ended, "Failed").get("message") or "no trial reported the objective"
    failed = [trial["metadata"]["name"] for trial in trials if _state(trial)[0] is TrialState.FAILED]
    endings = [f"trial {trial}: {_last_words(cluster, trial)}" for trial in failed[:SHOWN_TRIALS]]
    return "; ".join([f"Katib experiment {name} failed: {said.rstrip('.')}", *endings])


def _last_words(cluster: Cluster, trial: str) -> str:
    running = pods(cluster, f"{JOB_LABEL}={trial}")
    if not running:
        return "its pod is gone"
    return " | ".join(last_lines(cluster, running[-1].metadata.name, CONTAINER))
