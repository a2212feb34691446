"""Manifest of a training: a PyTorchJob whose replicas run the training program."""

import math

from kubeflow.training import models

from container_component_src.backends.kubernetes.pytorch_job_failure import CONTAINER
from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.kinds import PYTORCH_JOB
from container_component_src.cluster.pods import check, container, pod_template, reachable
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.training import TrainingArguments, TrainingJob, training_command

DEADLINE_MARGIN = 120.0  # seconds beyond the deadline of the pods, in which they and the job end
_TTL = 3_600  # seconds that an ended job is kept if nobody deletes it


def manifest(step: Step, pods: PodSettings, job: TrainingJob) -> Manifest:
    """Return the PyTorchJob of a training.

    Replicas are not restarted. A training that failed fails again. What passes, such as a lost node, is left to the
    retry of the step, which starts a new job.

    Raises:
        InputError: An option that a cluster needs is missing, or pods cannot reach the data.
    """
    check(pods, "a PyTorchJob")
    workers = job.arguments.num_gpu_nodes - 1
    replicas = {"Master": _replicas(step, pods, job, 1)}
    if workers:  # the operator refuses a replica type with count 0
        replicas["Worker"] = _replicas(step, pods, job, workers)
    built = to_manifest(
        models.KubeflowOrgV1PyTorchJob(
            api_version=PYTORCH_JOB.api_version,
            kind=PYTORCH_JOB.name,
            spec=models.KubeflowOrgV1PyTorchJobSpec(pytorch_replica_specs=replicas, run_policy=_run_policy(job)),
        )
    )
    return {**built, "metadata": step.metadata(step.name("training", PYTORCH_JOB), pods.namespace)}


def _run_policy(job: TrainingJob) -> models.KubeflowOrgV1RunPolicy:
    return models.KubeflowOrgV1RunPolicy(
        # The operator enforces this only when something happens to the job (kubeflow/trainer#3358). The deadline of the
        # pods is the one that counts, and it keeps their logs. This one ends a job whose pods never got a node.
        active_deadline_seconds=math.ceil(job.timeout + DEADLINE_MARGIN),
        # There is no backoff limit: when it is exceeded, the operator deletes all pods, with the log of the one that
        # failed (kubeflow/trainer#3419). Replicas that are never restarted need none.
        clean_pod_policy="Running",  # the logs of pods that ended are still read
        ttl_seconds_after_finished=_TTL,
    )


def _replicas(step: Step, pods: PodSettings, job: TrainingJob, count: int) -> models.KubeflowOrgV1ReplicaSpec:
    main = container(CONTAINER, pods, training_command(in_pods(job.arguments)), step.run_id)
    template = pod_template(pods, main, step.labels, active_deadline_seconds=math.ceil(job.timeout))
    template.spec.restart_policy = None  # the operator sets that of the replica, and warns if there is one here
    return models.KubeflowOrgV1ReplicaSpec(replicas=count, restart_policy="Never", template=template)


def in_pods(arguments: TrainingArguments) -> TrainingArguments:
    """Return the arguments of a replica; a single one needs no rendezvous."""
    uris = {name: reachable(getattr(arguments, name)) for name in ("train_df_path", "val_df_path", "model_output_file")}
    return arguments.model_copy(update={**uris, "run_as_pytorchjob": arguments.num_gpu_nodes > 1})
