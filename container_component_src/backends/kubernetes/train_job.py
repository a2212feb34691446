"""Training on a cluster with Kubeflow Trainer: a TrainJob of the training program with one pod per node."""

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.backends.kubernetes.pod_failures import PodFailures, is_deleted, may_be_consequence
from container_component_src.backends.kubernetes.pytorch_job_manifest import DEADLINE_MARGIN
from container_component_src.backends.kubernetes.train_job_manifest import NODE, manifest, runtime
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import condition_of, has_failed, is_true, states
from container_component_src.cluster.kinds import TRAIN_JOB, TRAINING_RUNTIME
from container_component_src.cluster.logs import follow_log, list_pods
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.pod_states import DEADLINE_EXCEEDED
from container_component_src.cluster.start_up import StartUp
from container_component_src.errors import InputError, StepError
from container_component_src.steps.training import TrainingJob

_FAILED_JOBS = "FailedJobs"  # reason of a TrainJob of which a pod failed or was deleted
JOB_LABEL = "jobset.sigs.k8s.io/jobset-name"  # set by JobSet on pods
FIRST_POD = f"{{}}-{NODE}-0-0"  # start of the name of the first pod, given the name of the job

logger = logging.getLogger(__name__)


def train(context: JobContext, job: TrainingJob) -> None:
    """Run a training as a TrainJob, with a TrainingRuntime of its own, until it ends.

    The output of the first pod appears on stdout as it comes.

    Raises:
        InputError: The job cannot be built from these options, or a pod refused its input.
        StepError: The API refused something, a pod failed, or the job took too long or was deleted.
    """
    cluster, step, pods = context.cluster, context.step, context.pods
    description, wanted = runtime(step, pods, job), manifest(step, pods, job)
    name = wanted["metadata"]["name"]
    with (
        owned_object(cluster, step, TRAINING_RUNTIME, description, lambda _: False, resumable=True, users=[TRAIN_JOB]),
        owned_object(cluster, step, TRAIN_JOB, wanted, has_failed, resumable=True),
    ):
        logger.info("TrainJob %s: %d nodes", name, job.arguments.num_gpu_nodes)
        with follow_log(cluster, partial(_first_pod, cluster, name), NODE, click.echo):
            watch = _Watch(cluster, name)
            failed = watch.wait(job)
        if failed:
            raise watch.error(failed)


def _pods(cluster: Cluster, job: str) -> list[Any]:
    return list_pods(cluster, f"{JOB_LABEL}={job}")


def _name(pod: Any) -> str:
    return str(pod.metadata.name)


def _first_deleted(running: set[str], pods: list[Any]) -> set[str]:
    """Return those that ran and are gone; if none, those of them whose deletion began first."""
    times = {_name(pod): pod.metadata.deletion_timestamp for pod in pods}
    deleted = {name: times[name] for name in running & times.keys() if times[name] is not None}
    return running - times.keys() or {name for name, time in deleted.items() if time == min(deleted.values())}


def _first_pod(cluster: Cluster, job: str) -> str:
    """Return the name of the first pod, which ends at random; empty if there is none."""
    names = map(_name, _pods(cluster, job))
    return next((name for name in names if name.startswith(f"{FIRST_POD.format(job)}-")), "")


@dataclass
class _Watch:
    """What has been seen of a job.

    Attributes:
        cluster: Cluster of the job.
        name: Its name.
        running: Names of the pods that ran at the last look.
        lost: Names of the pods that were deleted first, before any pod failed. The others follow within a second.
    """

    cluster: Cluster
    name: str
    running: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    def wait(self, job: TrainingJob) -> Manifest | None:
        """Wait until the job has ended, and return it if it has failed."""
        start_up = StartUp(self.cluster, f"TrainJob {self.name}")
        nodes, timeout = job.arguments.num_gpu_nodes, job.timeout + DEADLINE_MARGIN
        fix = "see that its pods start, or raise --job-timeout"
        seen = ""
        for found in states(self.cluster, TRAIN_JOB, self.name, timeout, f"TrainJob {self.name} to end", fix=fix):
            if is_true(found, "Complete"):
                return None
            if has_failed(found):
                return found
            suspended = is_true(found, "Suspended")  # a queue holds it back, as long as it takes
            if not suspended:
                start_up.check(self._look(), nodes, [self.name, f"{self.name}-{NODE}-0"])
            # The job has no condition for running, and counts no pods.
            progress = "suspended by a queue" if suspended else f"{len(self.running)} of {nodes} pods run"
            if seen != (seen := progress):
                logger.info("TrainJob %s: %s", self.name, progress)
        raise AssertionError  # `states` ends with an error

    def _look(self) -> list[Any]:
        """Return the pods, and remember those that run and those that were lost since the last look."""
        pods = _pods(self.cluster, self.name)
        if not self.lost and all(pod.status.phase != "Failed" for pod in pods):
            self.lost = _first_deleted(self.running, pods)
        self.running = {_name(pod) for pod in pods if pod.status.phase == "Running" and not is_deleted(pod)}
        return pods

    def error(self, failed: Manifest) -> StepError | InputError:
        """Return why the job failed: a pod that ended with an error, or what happened to its pods.

        Trainer reports a failure some seconds after the first failed pod, and keeps only that pod.
        """
        failures = PodFailures(self.cluster, NODE, _pods(self.cluster, self.name))
        first, condition = failures.first(), condition_of(failed, "Failed")
        overdue = condition.get("reason") == DEADLINE_EXCEEDED  # then all pods were deleted for it
        if first is None or may_be_consequence(first[0]):
            if outside := failures.outside_cause():
                return StepError(outside)
            # A pod that fails is kept, so one that left no trace was deleted, perhaps between two looks.
            if not overdue and (self.lost or (first is None and condition.get("reason") == _FAILED_JOBS)):
                which = f"pod {' or '.join(sorted(self.lost))}" if self.lost else "a pod"
                cause = "a drained node, preemption, or by hand"
                problem = f"{which} of the training was deleted while it ran ({cause})"
                return StepError(problem, fix="run the step again")
        if first:
            return failures.error(*first)
        fix = "raise --job-timeout" if overdue else ""
        return StepError(f"TrainJob {self.name} failed: {condition.get('message') or condition.get('reason')}", fix=fix)
