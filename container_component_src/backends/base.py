"""What a backend does for the steps: it starts jobs somewhere and waits for them."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:  # a step imports the libraries of its own part only
    from distributed import Client

    from container_component_src.serving.deployment.service import Deployment, Service
    from container_component_src.steps.data import ClusterSpec
    from container_component_src.steps.training import TrainingJob
    from container_component_src.steps.tuning import Experiment
    from container_component_src.tuning.experiment import TuningResult


class Backend(Protocol):
    """Where jobs run. Every method leaves nothing running behind, however it ends, except a deployed service."""

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """A client of a Dask cluster that lives as long as the `with` block."""

    def tune(self, experiment: "Experiment") -> "TuningResult":
        """Run the trials of an experiment.

        Raises:
            StepError: Too many trials failed.
        """

    def train(self, job: "TrainingJob") -> None:
        """Run the training program distributed, up to its end.

        Raises:
            InputError: The program refused its input.
            StepError: A node failed.
        """

    def deploy(self, service: "Service") -> "Deployment":
        """Deploy a model and make sure that it answers.

        Raises:
            StepError: The service did not become ready or gave a wrong answer.
        """


def get_backend(name: str, pods: PodSettings | None = None) -> Backend:
    """The backend of a name.

    Args:
        name: `kubernetes` or `local`.
        pods: How pods run; processes of this machine take no notice.
    """
    # One backend is imported, not all of them.
    if name == "kubernetes":
        from container_component_src.backends.kubernetes import KubernetesBackend  # noqa: PLC0415

        return KubernetesBackend(pods or PodSettings())
    from container_component_src.backends.local import LocalBackend  # noqa: PLC0415

    return LocalBackend()
