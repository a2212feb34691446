"""Kinds of custom resources that the steps use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A custom resource as the API addresses it."""

    group: str
    version: str
    plural: str
    name: str
    max_name: int  # characters of an object's name, so that the names derived from it are valid too
    operator: str  # what to install for this kind

    @property
    def api_version(self) -> str:
        """The `apiVersion` of a manifest."""
        return f"{self.group}/{self.version}"


# Katib's webhook refuses longer names. The training operator appends `-worker-9999`, and accepts names of more than 54
# characters without ever setting a status. JobSet appends `-node-0-9999-12345`, and Dask `-scheduler`. KServe puts the
# name and the role into one label of a host name, which has at most 63 characters.
EXPERIMENT = Kind("kubeflow.org", "v1beta1", "experiments", "Experiment", 40, "Katib")
TRIAL = Kind("kubeflow.org", "v1beta1", "trials", "Trial", 63, "Katib")
PYTORCH_JOB = Kind("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob", 51, "the training operator (v1)")
TRAIN_JOB = Kind("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob", 45, "Kubeflow Trainer (v2)")
TRAINING_RUNTIME = Kind(
    TRAIN_JOB.group, TRAIN_JOB.version, "trainingruntimes", "TrainingRuntime", TRAIN_JOB.max_name, TRAIN_JOB.operator
)
INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService", 40, "KServe")
DASK_CLUSTER = Kind("kubernetes.dask.org", "v1", "daskclusters", "DaskCluster", 53, "the Dask operator")
WORKFLOW = Kind("argoproj.io", "v1alpha1", "workflows", "Workflow", 63, "Kubeflow Pipelines")
