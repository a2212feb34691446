"""Tuning on a cluster: a Katib experiment that is created or adopted, waited for, and deleted."""

import logging
import math

from container_component_src.backends.kubernetes.tuning_manifest import manifest
from container_component_src.backends.kubernetes.tuning_trials import failure_of, finished_trial, trials_of
from container_component_src.backends.kubernetes.tuning_watch import Watch
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of, is_true, states
from container_component_src.cluster.kinds import EXPERIMENT
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.start_up import NO_POD_LIMIT
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.tuning import Experiment
from container_component_src.tuning.experiment import TuningResult

__all__ = ["manifest", "tune"]

SHOWN_TRIALS = 3  # failed ones, in the error

logger = logging.getLogger(__name__)


def tune(cluster: Cluster, step: Step, pods: PodSettings, experiment: Experiment) -> TuningResult:
    """Run an experiment to its end.

    Raises:
        InputError: The experiment cannot be built as the options say.
        StepError: The API refused something, more trials failed than the experiment allows, none succeeded, no trial
            could be started, or the experiment took too long or was deleted.
    """
    wanted = manifest(step, pods, experiment)
    name = wanted["metadata"]["name"]
    with owned_object(cluster, step, EXPERIMENT, wanted, failed=_has_failed, resumable=True):
        logger.info(
            "Katib experiment %s: %d trials, %d at a time", name, experiment.trial_count, experiment.parallel_count
        )
        watch = Watch(cluster, name, experiment.trial_timeout)
        ended = _wait(cluster, name, experiment, watch)
        trials = trials_of(cluster, ended)
        failures = [
            watch.failures.get(trial["metadata"]["name"]) or failure_of(cluster, trial, experiment.trial_timeout)
            for trial in trials
        ]
        if _has_failed(ended):
            said = condition_of(ended, "Failed").get("message") or "no trial reported the objective"
            texts = [
                f"trial {trial['metadata']['name']}: {failure.text}"
                for trial, failure in zip(trials, failures, strict=True)
                if failure
            ]
            raise StepError("; ".join([f"Katib experiment {name} failed: {said.rstrip('.')}", *texts[:SHOWN_TRIALS]]))
        return TuningResult(
            trials=tuple(
                finished_trial(number, trial, failure)
                for number, (trial, failure) in enumerate(zip(trials, failures, strict=True))
            )
        )


def _wait(cluster: Cluster, name: str, experiment: Experiment, watch: Watch) -> Manifest:
    """The experiment when it has ended."""
    rounds = math.ceil(experiment.trial_count / experiment.parallel_count)
    timeout = rounds * (experiment.trial_timeout + NO_POD_LIMIT)
    what = f"Katib experiment {name} to end; see that its trials start, or raise --trial-timeout"
    for found in states(cluster, EXPERIMENT, name, timeout, what):
        ended = is_true(found, "Succeeded") or is_true(found, "Failed")
        watch.look(found, ended)
        if ended:
            return found
    raise AssertionError  # `states` ends with an error


def _has_failed(experiment: Manifest) -> bool:
    """Whether an experiment has ended without a best trial; Katib calls that a success where failures have no limit."""
    best = experiment.get("status", {}).get("currentOptimalTrial", {}).get("bestTrialName")
    return is_true(experiment, "Failed") or (is_true(experiment, "Succeeded") and not best)
