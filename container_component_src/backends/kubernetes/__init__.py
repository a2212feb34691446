"""Jobs as objects of a Kubernetes cluster, run by the operators of Kubeflow and Dask."""

from contextlib import AbstractContextManager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from distributed import Client

    from container_component_src.cluster.access import Cluster, Manifest
    from container_component_src.cluster.step import Step
    from container_component_src.serving.deployment.service import Deployment, Service
    from container_component_src.steps.data import ClusterSpec
    from container_component_src.steps.training import TrainingJob
    from container_component_src.steps.tuning import Experiment
    from container_component_src.tuning.experiment import TuningResult

    Request = ClusterSpec | Experiment | TrainingJob | Service


class KubernetesBackend:
    """The backend of a cluster; a part, and the cluster, are asked for when they are used."""

    def __init__(self, pods: PodSettings) -> None:
        self.pods = pods

    @cached_property
    def cluster(self) -> "Cluster":
        """Access to the namespace where jobs run."""
        from container_component_src.cluster.access import connect  # noqa: PLC0415 - not for a dry run

        return connect(self.pods.namespace)

    @cached_property
    def step(self) -> "Step":
        """The step that starts jobs."""
        from container_component_src.cluster.step import Step  # noqa: PLC0415

        return Step.from_environment()

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """A client of a Dask cluster that the operator runs."""
        client: AbstractContextManager[Client] = _part("dask").dask_client(self.cluster, self.step, self.pods, spec)
        return client

    def tune(self, experiment: "Experiment") -> "TuningResult":
        """Run trials as a Katib experiment."""
        result: TuningResult = _part("tuning").tune(self.cluster, self.step, self.pods, experiment)
        return result

    def train(self, job: "TrainingJob") -> None:
        """Run a PyTorchJob."""
        _part("training").train(self.cluster, self.step, self.pods, job)

    def deploy(self, service: "Service") -> "Deployment":
        """Create or update an InferenceService."""
        deployment: Deployment = _part("serving").deploy(self.cluster, self.step, self.pods, service)
        return deployment

    def manifest(self, request: "Request") -> "Manifest":
        """What would be created for a request; asks no cluster."""
        part = {"ClusterSpec": "dask", "Experiment": "tuning", "TrainingJob": "training", "Service": "serving"}
        manifest: Manifest = _part(part[type(request).__name__]).manifest(self.step, self.pods, request)
        return manifest


def _part(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
