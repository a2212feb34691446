"""Training on a cluster, by whichever operator it has."""

import logging
from dataclasses import dataclass

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.cluster.access import Cluster, Manifest
from container_component_src.cluster.kinds import PYTORCH_JOB, TRAIN_JOB
from container_component_src.errors import StepError
from container_component_src.steps.training import TrainingApi, TrainingJob

# ruff: noqa: PLC0415 - a method imports its libraries when it is called

KINDS = {TrainingApi.PYTORCH_JOB: PYTORCH_JOB, TrainingApi.TRAIN_JOB: TRAIN_JOB}  # the first one served is chosen

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KubernetesTrainer:
    """Trains as a PyTorchJob or as a TrainJob."""

    context: JobContext

    def manifests(self, job: TrainingJob) -> list[Manifest]:
        """Return the objects that `train` creates; needs no cluster, and takes a PyTorchJob if it may choose.

        Raises:
            InputError: An option that a cluster needs is missing, or pods cannot reach the data.
        """
        step, pods = self.context.step, self.context.pods
        if job.training_api is TrainingApi.TRAIN_JOB:
            from container_component_src.backends.kubernetes import train_job_manifest

            return [train_job_manifest.runtime(step, pods, job), train_job_manifest.manifest(step, pods, job)]
        from container_component_src.backends.kubernetes import pytorch_job_manifest

        return [pytorch_job_manifest.manifest(step, pods, job)]

    def train(self, job: TrainingJob) -> None:
        """Run a training until it ends; see `Trainer.train`.

        Raises:
            StepError: The cluster has neither kind of job.
        """
        api = job.training_api if job.training_api is not TrainingApi.AUTO else choose(self.context.cluster)
        if api is TrainingApi.TRAIN_JOB:
            from container_component_src.backends.kubernetes import train_job

            train_job.train(self.context, job)
        else:
            from container_component_src.backends.kubernetes import pytorch_job

            pytorch_job.train(self.context, job)


def choose(cluster: Cluster) -> TrainingApi:
    """Return the kind of job that the cluster serves; a PyTorchJob if it serves both.

    Raises:
        StepError: It serves none.
    """
    served = [api for api, kind in KINDS.items() if cluster.serves(kind)]
    if not served:
        raise StepError(
            f"the cluster serves neither {' nor '.join(KINDS)}",
            fix=f"install {' or '.join(kind.operator for kind in KINDS.values())}",
        )
    logger.info("training as a %s; the cluster serves %s", served[0], " and ".join(served))
    return served[0]
