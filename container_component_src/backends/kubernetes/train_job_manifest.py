"""Manifests of a training by Kubeflow Trainer: a TrainJob, and the TrainingRuntime that describes its pods."""

import math

from kubeflow_trainer_api import models

from container_component_src.backends.kubernetes.pytorch_job_manifest import DEADLINE_MARGIN, in_pods
from container_component_src.cluster.access import Manifest, to_manifest
from container_component_src.cluster.kinds import TRAIN_JOB, TRAINING_RUNTIME, Kind
from container_component_src.cluster.pods import check, container, pod_template
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings
from container_component_src.steps.training import TrainingJob, training_command

NODE = "node"  # name that Trainer requires of the group of pods and of their container
_ANCESTOR = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}  # by which Trainer knows the pods that train


def runtime(step: Step, pods: PodSettings, job: TrainingJob) -> Manifest:
    """Return the TrainingRuntime of one training: everything about its pods.

    It is not shared with other trainings, so that nobody has to install it and no change of it reaches a running job.

    Raises:
        InputError: An option that a cluster needs is missing, or pods cannot reach the data.
    """
    check(pods, "a TrainJob")
    main = container(NODE, pods, training_command(in_pods(job.arguments)), step.run_id)
    template = pod_template(pods, main, step.labels, active_deadline_seconds=math.ceil(job.timeout))
    spec = models.IoK8sApiBatchV1JobSpec(
        backoffLimit=0,  # a training that failed fails again; what passes is left to the retry of the step
        # The deadline of the pods keeps their logs. This one ends a job whose pods never got a node.
        activeDeadlineSeconds=math.ceil(job.timeout + DEADLINE_MARGIN),
        template=models.IoK8sApiCoreV1PodTemplateSpec.from_dict(to_manifest(template)),
    )
    labelled = models.IoK8sApimachineryPkgApisMetaV1ObjectMeta(labels={**step.labels, **_ANCESTOR})
    group = models.JobsetV1alpha2ReplicatedJob(
        name=NODE, template=models.IoK8sApiBatchV1JobTemplateSpec(metadata=labelled, spec=spec)
    )
    built = models.TrainerV1alpha1TrainingRuntime(
        apiVersion=TRAINING_RUNTIME.api_version,
        kind=TRAINING_RUNTIME.name,
        spec=models.TrainerV1alpha1TrainingRuntimeSpec(
            mlPolicy=models.TrainerV1alpha1MLPolicy(
                numNodes=job.arguments.num_gpu_nodes, torch=models.TrainerV1alpha1TorchMLPolicySource()
            ),
            template=models.TrainerV1alpha1JobSetTemplateSpec(
                spec=models.JobsetV1alpha2JobSetSpec(replicatedJobs=[group])
            ),
        ),
    )
    return _with_metadata(built.to_dict(), step, pods, TRAINING_RUNTIME)


def manifest(step: Step, pods: PodSettings, job: TrainingJob) -> Manifest:
    """Return the TrainJob of a training, which refers to its `runtime`."""
    built = models.TrainerV1alpha1TrainJob(
        apiVersion=TRAIN_JOB.api_version,
        kind=TRAIN_JOB.name,
        spec=models.TrainerV1alpha1TrainJobSpec(
            runtimeRef=models.TrainerV1alpha1RuntimeRef(
                apiGroup=TRAINING_RUNTIME.group,
                kind=TRAINING_RUNTIME.name,
                name=step.name("training", TRAINING_RUNTIME),
            ),
            # Without a trainer, the pods do not learn how to find each other.
            trainer=models.TrainerV1alpha1Trainer(numNodes=job.arguments.num_gpu_nodes),
        ),
    )
    return _with_metadata(built.to_dict(), step, pods, TRAIN_JOB)


def _with_metadata(built: Manifest, step: Step, pods: PodSettings, kind: Kind) -> Manifest:
    return {**built, "metadata": step.metadata(step.name("training", kind), pods.namespace)}
