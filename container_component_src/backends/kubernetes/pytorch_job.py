"""Training on a cluster: a PyTorchJob of the training program with one pod per node."""

import logging
from dataclasses import replace
from typing import Any

import click

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.backends.kubernetes.pytorch_job_failure import CONTAINER, MASTER_POD, FailedJob
from container_component_src.backends.kubernetes.pytorch_job_manifest import DEADLINE_MARGIN, manifest
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.conditions import has_failed, is_true, states
from container_component_src.cluster.kinds import PYTORCH_JOB
from container_component_src.cluster.logs import follow_log, list_pods
from container_component_src.cluster.owned_objects import owned_object, recreate
from container_component_src.cluster.start_up import StartUp
from container_component_src.steps.training import TrainingJob

JOB_LABEL = "training.kubeflow.org/job-name"  # set by the operator on pods

logger = logging.getLogger(__name__)


def train(context: JobContext, job: TrainingJob) -> None:
    """Run a training as a PyTorchJob until it ends; the output of the first replica appears on stdout as it comes.

    Raises:
        InputError: The job cannot be built from these options, or a replica refused its input.
        StepError: The API refused something, a replica failed, or the job took too long or was deleted.
    """
    cluster, wanted = context.cluster, manifest(context.step, context.pods, job)
    name = wanted["metadata"]["name"]
    with owned_object(cluster, context.step, PYTORCH_JOB, wanted, has_failed, resumable=True) as created:
        logger.info("PyTorchJob %s: %d replicas", name, job.arguments.num_gpu_nodes)
        with follow_log(cluster, lambda: MASTER_POD.format(name), CONTAINER, click.echo):
            failed = _wait(context, created, job)
        if failed:  # the pods may have changed while the rest of the log was read
            raise replace(failed, pods=_pods(cluster, name)).error()


def _wait(context: JobContext, created: Manifest, job: TrainingJob) -> FailedJob | None:
    """Wait until a job has ended; if its first replica was late, start it again within the same time.

    Returns:
        The job if it has failed.
    """
    cluster, name = context.cluster, created["metadata"]["name"]
    start_up = StartUp(cluster, f"PyTorchJob {name}")  # its limits apply to all jobs together
    seen: list[Any] = []
    timeout, fix = job.timeout + DEADLINE_MARGIN, "see that its pods start, or raise --job-timeout"
    for found in states(cluster, PYTORCH_JOB, name, timeout, f"PyTorchJob {name} to end", fix=fix):
        if is_true(found, "Succeeded"):
            return None
        present = _pods(cluster, name)
        if not has_failed(found):
            seen = present
            start_up.check(seen, job.arguments.num_gpu_nodes, [name])
            continue
        failed = FailedJob(cluster, found, present, seen)
        if not failed.is_late():
            return failed
        logger.warning("%s; starting the job again", failed.wait_failure())
        recreate(cluster, context.step, PYTORCH_JOB, created, has_failed)
    raise AssertionError  # `states` ends with an error


def _pods(cluster: Cluster, job: str) -> list[Any]:
    return list_pods(cluster, f"{JOB_LABEL}={job}")
