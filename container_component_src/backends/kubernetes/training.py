"""Training on a cluster: a PyTorchJob of the training program, one pod a node."""

import logging
import math

import click
from kubeflow.training import models

from container_component_src.cluster.access import Cluster, Manifest, to_manifest
from container_component_src.cluster.children import child
from container_component_src.cluster.conditions import condition_of, holds, states
from container_component_src.cluster.kinds import PYTORCH_JOB
from container_component_src.cluster.logs import followed, last_lines, pods
from container_component_src.cluster.pod_settings import PodSettings
from container_component_src.cluster.pod_states import Termination, obstacles, termination
from container_component_src.cluster.pods import check, container, pod_template, reachable
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.model.arguments import TrainingArguments, TrainingJob, training_command

CONTAINER = "pytorch"  # the operator knows it by this name
JOB_LABEL = "training.kubeflow.org/job-name"  # that it gives to pods
GRACE = 120.0  # seconds that the operator has to end a job whose deadline is over
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
                    active_deadline_seconds=math.ceil(job.timeout),
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
    with child(cluster, step, PYTORCH_JOB, wanted, failed=lambda found: holds(found, "Failed")):
        logger.info("PyTorchJob %s: %d replicas", name, job.arguments.num_gpu_nodes)
        with followed(cluster, f"{name}-master-0", CONTAINER, click.echo):
            ended = _wait(cluster, name, job.timeout)
        if holds(ended, "Failed"):
            raise _failure(cluster, ended)


def _replicas(step: Step, pods: PodSettings, job: TrainingJob, count: int) -> models.KubeflowOrgV1ReplicaSpec:
    main = container(CONTAINER, pods, training_command(_in_pods(job.arguments)), step.run_id)
    return models.KubeflowOrgV1ReplicaSpec(
        replicas=count, restart_policy="Never", template=pod_template(pods, main, step.labels)
    )


def _in_pods(arguments: TrainingArguments) -> TrainingArguments:
    """The arguments of a replica; a single one needs no rendezvous."""
    uris = {name: reachable(getattr(arguments, name)) for name in ("train_df_path", "val_df_path", "model_output_file")}
    return arguments.model_copy(update={**uris, "run_as_pytorchjob": arguments.num_gpu_nodes > 1})


def _wait(cluster: Cluster, name: str, timeout: float) -> Manifest:
    warned: set[str] = set()
    what = f"PyTorchJob {name} to end; see that its pods start, or raise --job-timeout"
    for found in states(cluster, PYTORCH_JOB, name, timeout + GRACE, what):
        if holds(found, "Succeeded") or holds(found, "Failed"):
            return found
        if not holds(found, "Running"):
            for obstacle in obstacles(pods(cluster, f"{JOB_LABEL}={name}")):
                if obstacle not in warned:
                    logger.warning("%s", obstacle)
                    warned.add(obstacle)
    raise AssertionError  # `states` ends with an error


def _failure(cluster: Cluster, ended: Manifest) -> StepError | InputError:
    """Why a job failed: the first pod that did, with its last lines, or else what the operator says."""
    name, said = ended["metadata"]["name"], condition_of(ended, "Failed")
    found = pods(cluster, f"{JOB_LABEL}={name}")
    ends = [
        (end, pod.metadata.name) for pod in found if (end := termination(pod, CONTAINER)) is not None and end.exit_code
    ]
    if not ends:
        lost = [
            f"pod {pod.metadata.name}: {pod.status.reason} {pod.status.message or ''}".rstrip()
            for pod in found
            if pod.status.phase == "Failed"
        ]
        mend = "; raise --job-timeout" if "deadline" in f"{said.get('reason')} {said.get('message')}".lower() else ""
        return StepError(
            "; ".join([f"PyTorchJob {name} failed: {said.get('message') or said.get('reason')}{mend}", *lost])
        )
    # Times have whole seconds, and replicas fail soon after the one that they wait for.
    end, pod = min(ends, key=lambda item: (item[0].finished_at, _is_consequence(item[0]), item[1]))
    ending = " | ".join(last_lines(cluster, pod, CONTAINER))
    kind = InputError if end.exit_code == InputError.exit_code else StepError
    return kind(f"pod {pod} of the training ended with code {end.exit_code} ({end.reason}): {ending}")


def _is_consequence(end: Termination) -> bool:
    """Whether a replica may have failed only because another did: not of bad input, nor killed."""
    return end.exit_code == StepError.exit_code
