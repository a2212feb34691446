"""Training on a cluster: a PyTorchJob of the training program, one pod a node."""

import logging
import math
from typing import Any

import click
from kubeflow.training import models

from container_component_src.backends.kubernetes.training_failure import (
    CONTAINER,
    MASTER_POD,
    failure,
    gave_up,
    is_late,
)
from container_component_src.cluster.access import Cluster, Manifest, to_manifest
from container_component_src.cluster.conditions import is_true, states
from container_component_src.cluster.kinds import PYTORCH_JOB
from container_component_src.cluster.logs import followed, pods
from container_component_src.cluster.owned_objects import owned_object, start_anew
from container_component_src.cluster.pods import check, container, pod_template, reachable
from container_component_src.cluster.start_up import StartUp
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.training import TrainingArguments, TrainingJob, training_command

JOB_LABEL = "training.kubeflow.org/job-name"  # that the operator gives to pods
GRACE = 120.0  # seconds beyond the deadline of the pods, in which they and the job end
KEPT_AFTER_END = 3_600  # seconds that an ended job is left where nobody deletes it

logger = logging.getLogger(__name__)


def manifest(step: Step, pods: PodSettings, job: TrainingJob) -> Manifest:
    """The PyTorchJob of a training.

    Replicas are not restarted: a training that failed fails again, and what passes, such as a lost node, is for the
    retry of the step, which starts a new job.

    Raises:
        InputError: An option that a cluster needs is missing, or pods cannot reach the data.
    """
    check(pods, "a PyTorchJob")
    workers = job.arguments.num_gpu_nodes - 1
    replicas = {"Master": _replicas(step, pods, job, 1)}
    if workers:  # the operator refuses a part without replicas
        replicas["Worker"] = _replicas(step, pods, job, workers)
    built = to_manifest(
        models.KubeflowOrgV1PyTorchJob(
            api_version=PYTORCH_JOB.api_version,
            kind=PYTORCH_JOB.name,
            spec=models.KubeflowOrgV1PyTorchJobSpec(
                pytorch_replica_specs=replicas,
                run_policy=models.KubeflowOrgV1RunPolicy(
                    # Enforced only when something happens to the job (kubeflow/trainer#3358): the deadline of the pods
                    # counts, and keeps their logs. This one ends a job whose pods never got a node.
                    active_deadline_seconds=math.ceil(job.timeout + GRACE),
                    # No backoff limit: where it is exceeded the operator deletes all pods, with the log of the one
                    # that failed (kubeflow/trainer#3419). Replicas that are never restarted need none.
                    clean_pod_policy="Running",  # the logs of those that ended are still read
                    ttl_seconds_after_finished=KEPT_AFTER_END,
                ),
            ),
        )
    )
    return {**built, "metadata": step.metadata(step.name("training", PYTORCH_JOB), pods.namespace)}


def train(cluster: Cluster, step: Step, pods: PodSettings, job: TrainingJob) -> None:
    """Run a training to its end; the first replica's output appears on stdout as it comes.

    Raises:
        InputError: The job cannot be built as the options say, or a replica refused its input.
        StepError: The API refused something, a replica failed, or the job took too long or was deleted.
    """
    wanted = manifest(step, pods, job)
    name = wanted["metadata"]["name"]
    with owned_object(cluster, step, PYTORCH_JOB, wanted, has_failed, resumable=True) as created:
        logger.info("PyTorchJob %s: %d replicas", name, job.arguments.num_gpu_nodes)
        with followed(cluster, MASTER_POD.format(name), CONTAINER, click.echo):
            ended, seen = _wait(cluster, step, created, job)
        if has_failed(ended):
            raise failure(cluster, ended, _pods_of(cluster, name), seen)


def has_failed(found: Manifest) -> bool:
    """Whether a job has failed, so that it cannot be adopted."""
    return is_true(found, "Failed")


def _replicas(step: Step, pods: PodSettings, job: TrainingJob, count: int) -> models.KubeflowOrgV1ReplicaSpec:
    main = container(CONTAINER, pods, training_command(_in_pods(job.arguments)), step.run_id)
    template = pod_template(pods, main, step.labels, active_deadline_seconds=math.ceil(job.timeout))
    template.spec.restart_policy = None  # the operator sets the replica's, and warns about one that is here
    return models.KubeflowOrgV1ReplicaSpec(replicas=count, restart_policy="Never", template=template)


def _in_pods(arguments: TrainingArguments) -> TrainingArguments:
    """The arguments of a replica; a single one needs no rendezvous."""
    uris = {name: reachable(getattr(arguments, name)) for name in ("train_df_path", "val_df_path", "model_output_file")}
    return arguments.model_copy(update={**uris, "run_as_pytorchjob": arguments.num_gpu_nodes > 1})


def _wait(cluster: Cluster, step: Step, created: Manifest, job: TrainingJob) -> tuple[Manifest, list[Any]]:
    """Wait until a job has ended; one whose first replica was late is started anew, within the same time.

    Returns:
        The job as it ended, and its pods as they were before.
    """
    name, nodes = created["metadata"]["name"], job.arguments.num_gpu_nodes
    start_up = StartUp(cluster, f"PyTorchJob {name}")  # its limits hold for all jobs together
    seen: list[Any] = []
    what = f"PyTorchJob {name} to end; see that its pods start, or raise --job-timeout"
    for found in states(cluster, PYTORCH_JOB, name, job.timeout + GRACE, what):
        if is_true(found, "Succeeded"):
            return found, seen
        present = _pods_of(cluster, name)
        if not has_failed(found):
            seen = present
            start_up.look(seen, nodes, [name])
        elif is_late(found, present, seen):
            logger.warning("%s; starting the job again", gave_up(cluster, found, present, seen))
            start_anew(cluster, step, PYTORCH_JOB, created, has_failed)
        else:
            return found, seen
    raise AssertionError  # `states` ends with an error


def _pods_of(cluster: Cluster, job: str) -> list[Any]:
    return pods(cluster, f"{JOB_LABEL}={job}")
