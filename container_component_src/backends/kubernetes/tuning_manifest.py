"""Manifest of a tuning: a Katib Experiment whose trials are Jobs of the training program."""

import math
from collections.abc import Callable
from typing import TypeVar

from kubeflow import katib
from kubernetes import client

from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.kinds import EXPERIMENT
from container_component_src.cluster.pods import check, container, pod_template, reachable
from container_component_src.cluster.start_up import NO_POD_LIMIT
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.training import training_command
from container_component_src.steps.tuning import Algorithm, EarlyStopping, Experiment
from container_component_src.tuning.collector import METRIC_FILTER, OBJECTIVE

T = TypeVar("T")

CONTAINER = "training"
_BUNDLE = "/tmp/bundle"  # noqa: S108 - in the container of the trial, which ends with it
_ALGORITHMS = {Algorithm.BAYESIAN: "bayesianoptimization"}  # names that differ in Katib


def manifest(step: Step, pods: PodSettings, experiment: Experiment) -> Manifest:
    """Return the Experiment of a tuning.

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
                max_failed_trial_count=_max_failed_trial_count(experiment),
                resume_policy="Never",  # the step deletes the experiment when it has ended
                metrics_collector_spec=katib.V1beta1MetricsCollectorSpec(
                    collector=katib.V1beta1CollectorSpec(kind="StdOut"),
                    source=katib.V1beta1SourceSpec(filter=katib.V1beta1FilterSpec(metrics_format=[METRIC_FILTER])),
                ),
                trial_template=_trial_template(step, pods, experiment),
            ),
        )
    )
    return {**built, "metadata": step.metadata(name, pods.namespace)}


def _max_failed_trial_count(experiment: Experiment) -> int | None:
    """Return the number of failed trials at which Katib ends an experiment: one more than may fail.

    Katib refuses a number above that of the trials. Without a number there is no limit.
    """
    count = experiment.max_failed_trials + 1
    return count if count <= experiment.trial_count else None


def _algorithm(experiment: Experiment) -> katib.V1beta1AlgorithmSpec:
    return katib.V1beta1AlgorithmSpec(
        algorithm_name=_ALGORITHMS.get(experiment.algorithm, experiment.algorithm.value),
        algorithm_settings=_settings(katib.V1beta1AlgorithmSetting, random_state=experiment.seed),
    )


def _early_stopping(experiment: Experiment) -> katib.V1beta1EarlyStoppingSpec | None:
    if experiment.trial_early_stopping is EarlyStopping.NONE:
        return None
    return katib.V1beta1EarlyStoppingSpec(
        algorithm_name=experiment.trial_early_stopping.value,
        algorithm_settings=_settings(
            katib.V1beta1EarlyStoppingSetting,
            start_step=experiment.medianstop_start_step,
            min_trials_required=experiment.medianstop_min_trials_required,
        ),
    )


def _settings(kind: Callable[..., T], **values: int) -> list[T]:
    """Return settings of an algorithm, whose values Katib expects as text."""
    return [kind(name=name, value=str(value)) for name, value in values.items()]


def _parameters(experiment: Experiment) -> list[katib.V1beta1ParameterSpec]:
    """Return the search space; Katib expects numbers as text too."""
    return [
        katib.V1beta1ParameterSpec(
            name=name,
            parameter_type="categorical" if isinstance(choices[0], str) else "discrete",
            feasible_space=katib.V1beta1FeasibleSpace(list=[str(choice) for choice in choices]),
        )
        for name, choices in experiment.choices().items()
    ]


def _trial_template(step: Step, pods: PodSettings, experiment: Experiment) -> katib.V1beta1TrialTemplate:
    names = list(experiment.choices())
    data = {name: reachable(getattr(experiment, name)) for name in ("train_df_path", "val_df_path")}
    arguments = experiment.model_copy(update=data).arguments(experiment.point(0), _BUNDLE)
    command = training_command(arguments, {name: f"${{trialParameters.{name}}}" for name in names})
    template = pod_template(pods, container(CONTAINER, pods, command, step.run_id), step.labels)
    # The deadline of a Job deletes the pod with its log. That of a pod keeps both, and starts when a node has taken it.
    template.spec.active_deadline_seconds = math.ceil(experiment.trial_timeout)
    template.spec.security_context = _user(experiment)
    job = client.V1Job(
        api_version="batch/v1",
        kind="Job",
        spec=client.V1JobSpec(
            backoff_limit=0,  # a second attempt would be another trial
            active_deadline_seconds=math.ceil(experiment.trial_timeout + NO_POD_LIMIT),  # if no pod ever starts
            template=template,
        ),
    )
    return katib.V1beta1TrialTemplate(
        primary_container_name=CONTAINER,
        retain=True,  # else Katib deletes the Job of a failed trial with its log
        trial_parameters=[katib.V1beta1TrialParameterSpec(name=name, reference=name) for name in names],
        trial_spec=to_manifest(job),
    )


def _user(experiment: Experiment) -> client.V1PodSecurityContext | None:
    """Return the user of the whole pod, including the metrics collector that Katib adds.

    By default the collector runs as root, and then an early-stopped trial waits forever: the two communicate by a file
    that only its owner can write. A cluster that assigns users itself assigns the same one to both.
    """
    if not experiment.trial_user:
        return None
    return client.V1PodSecurityContext(run_as_user=experiment.trial_user, run_as_group=experiment.trial_user)
