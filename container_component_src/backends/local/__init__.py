"""Jobs as processes of this machine."""

from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

    from container_component_src.serving.deployment.service import Deployment, Service
    from container_component_src.steps.data import ClusterSpec
    from container_component_src.steps.training import TrainingJob
    from container_component_src.steps.tuning import Experiment
    from container_component_src.tuning.experiment import TuningResult


class LocalBackend:
    """The backend that needs no cluster; a part is imported when it is used."""

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """A client of a Dask cluster of processes."""
        client: AbstractContextManager[Client] = _part("dask").dask_client(spec)
        return client

    def tune(self, experiment: "Experiment") -> "TuningResult":
        """Run trials as processes."""
        result: TuningResult = _part("tuning").tune(experiment)
        return result

    def train(self, job: "TrainingJob") -> None:
        """Run one process per node."""
        _part("training").train(job)

    def deploy(self, service: "Service") -> "Deployment":
        """Run the containers of the service as processes."""
        deployment: Deployment = _part("serving").deploy(service)
        return deployment


def _part(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
