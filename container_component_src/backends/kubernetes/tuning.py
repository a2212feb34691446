"""Tuning on a cluster: create or adopt a Katib experiment, wait for it, and delete it."""

import logging
import math
from dataclasses import dataclass

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.backends.kubernetes.tuning_manifest import manifest
from container_component_src.backends.kubernetes.tuning_trials import Failure, failure_of, finished_trial, trials_of
from container_component_src.backends.kubernetes.tuning_watch import Watch
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of, is_true, states
from container_component_src.cluster.kinds import EXPERIMENT
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.start_up import NO_POD_LIMIT
from container_component_src.errors import StepError
from container_component_src.steps.tuning import Experiment
from container_component_src.tuning.experiment import TuningResult

SHOWN_TRIALS = 3  # number of failed trials in the error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KatibTuner:
    """Runs the trials of an experiment as Jobs of a Katib experiment."""

    context: JobContext

    def manifest(self, experiment: Experiment) -> Manifest:
        """Return the Experiment that `tune` creates; needs no cluster.

        Raises:
            InputError: An option that a cluster needs is missing, or pods cannot reach the data.
        """
        return manifest(self.context.step, self.context.pods, experiment)

    def tune(self, experiment: Experiment) -> TuningResult:
        """Run an experiment until it ends.

        Raises:
            InputError: The experiment cannot be built from these options.
            StepError: The API refused something, more trials failed than the experiment allows, none succeeded, no
                trial could be started, or the experiment took too long or was deleted.
        """
        cluster, wanted = self.context.cluster, self.manifest(experiment)
        name = wanted["metadata"]["name"]
        with owned_object(cluster, self.context.step, EXPERIMENT, wanted, failed=_has_failed, resumable=True):
            logger.info(
                "Katib experiment %s: %d trials, %d at a time", name, experiment.trial_count, experiment.parallel_count
            )
            watch = Watch(cluster, name, experiment.trial_timeout, experiment.trial_count)
            ended = _wait(cluster, name, experiment, watch)
            return _result(cluster, ended, experiment.trial_timeout, watch)


def _wait(cluster: Cluster, name: str, experiment: Experiment, watch: Watch) -> Manifest:
    """Wait until an experiment has ended, and return it."""
    rounds = math.ceil(experiment.trial_count / experiment.parallel_count)
    timeout = rounds * (experiment.trial_timeout + NO_POD_LIMIT)
    fix = "see that its trials start, or raise --trial-timeout"
    for found in states(cluster, EXPERIMENT, name, timeout, f"Katib experiment {name} to end", fix=fix):
        ended = is_true(found, "Succeeded") or is_true(found, "Failed")
        watch.check(found, ended)
        if ended:
            return found
    raise AssertionError  # `states` ends with an error


def _result(cluster: Cluster, ended: Manifest, trial_timeout: float, watch: Watch) -> TuningResult:
    """Return the trials of an experiment that has ended.

    Raises:
        StepError: The experiment failed.
    """
    trials = trials_of(cluster, ended)
    failures = [
        watch.failures.get(trial["metadata"]["name"]) or failure_of(cluster, trial, trial_timeout) for trial in trials
    ]
    outcomes = list(zip(trials, failures, strict=True))
    if _has_failed(ended):
        raise _error(ended, outcomes)
    finished = (finished_trial(number, trial, failure) for number, (trial, failure) in enumerate(outcomes))
    return TuningResult(trials=tuple(finished))


def _error(ended: Manifest, outcomes: list[tuple[Manifest, Failure | None]]) -> StepError:
    message = condition_of(ended, "Failed").get("message") or "no trial reported the objective"
    problem = f"Katib experiment {ended['metadata']['name']} failed: {message.rstrip('.')}"
    texts = [f"trial {trial['metadata']['name']}: {failure.text}" for trial, failure in outcomes if failure]
    return StepError("; ".join([problem, *texts[:SHOWN_TRIALS]]))


def _has_failed(experiment: Manifest) -> bool:
    """Return whether an experiment ended without a best trial; Katib calls that a success if failures are unlimited."""
    best = experiment.get("status", {}).get("currentOptimalTrial", {}).get("bestTrialName")
    return is_true(experiment, "Failed") or (is_true(experiment, "Succeeded") and not best)
