"""Training on a cluster: a PyTorchJob of the training program with one pod per node."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import click

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.backends.kubernetes.pytorch_job_failure import CONTAINER, MASTER_POD, FailedJob
from container_component_src.backends.kubernetes.pytorch_job_manifest import DEADLINE_MARGIN, manifest
from container_component_src.cluster.access import Manifest
from container_component_src.cluster.conditions import is_true, states
from container_component_src.cluster.kinds import PYTORCH_JOB
from container_component_src.cluster.logs import follow_log, list_pods
from container_component_src.cluster.owned_objects import owned_object, recreate
from container_component_src.cluster.start_up import StartUp
from container_component_src.steps.training import TrainingJob

JOB_LABEL = "training.kubeflow.org/job-name"  # set by the operator on pods

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PyTorchJobTrainer:
    """Trains as a PyTorchJob of the Kubeflow training operator."""

    context: JobContext

    def train(self, job: TrainingJob) -> None:
        """Run a training until it ends; the output of the first replica appears on stdout as it comes.

        Raises:
            InputError: The job cannot be built from these options, or a replica refused its input.
            StepError: The API refused something, a replica failed, or the job took too long or was deleted.
        """
        cluster, wanted = self.context.cluster, manifest(self.context.step, self.context.pods, job)
        name = wanted["metadata"]["name"]
        with owned_object(cluster, self.context.step, PYTORCH_JOB, wanted, _has_failed, resumable=True) as created:
            logger.info("PyTorchJob %s: %d replicas", name, job.arguments.num_gpu_nodes)
            with follow_log(cluster, lambda: MASTER_POD.format(name), CONTAINER, click.echo):
                failed = self._wait(created, job)
            if failed:  # the pods may have changed while the rest of the log was read
                raise replace(failed, pods=self._pods(name)).error()

    def _wait(self, created: Manifest, job: TrainingJob) -> FailedJob | None:
        """Wait until a job has ended; if its first replica was late, start it again within the same time.

        Returns:
            The job if it has failed.
        """
        cluster, name = self.context.cluster, created["metadata"]["name"]
        start_up = StartUp(cluster, f"PyTorchJob {name}")  # its limits apply to all jobs together
        seen: list[Any] = []
        timeout, fix = job.timeout + DEADLINE_MARGIN, "see that its pods start, or raise --job-timeout"
        for found in states(cluster, PYTORCH_JOB, name, timeout, f"PyTorchJob {name} to end", fix=fix):
            if is_true(found, "Succeeded"):
                return None
            present = self._pods(name)
            if not _has_failed(found):
                seen = present
                start_up.check(seen, job.arguments.num_gpu_nodes, [name])
                continue
            failed = FailedJob(cluster, found, present, seen)
            if not failed.is_late():
                return failed
            logger.warning("%s; starting the job again", failed.wait_failure())
            recreate(cluster, self.context.step, PYTORCH_JOB, created, _has_failed)
        raise AssertionError  # `states` ends with an error

    def _pods(self, job: str) -> list[Any]:
        return list_pods(self.context.cluster, f"{JOB_LABEL}={job}")


def _has_failed(found: Manifest) -> bool:
    """Return whether a job has failed, so that it cannot be adopted."""
    return is_true(found, "Failed")
