"""Interface of the backends: where a step's jobs run, and how it waits for them."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:  # a step imports only the libraries that it uses
    from distributed import Client

    from container_component_src.maintenance.checks import Check
    from container_component_src.maintenance.input_checks import Inputs
    from container_component_src.serving.deployment.service import DeployedBundles, Deployment, Service
    from container_component_src.steps.data import ClusterSpec
    from container_component_src.steps.training import TrainingJob
    from container_component_src.steps.tuning import Experiment
    from container_component_src.tuning.experiment import TuningResult


class Tuner(Protocol):
    """Searches for hyperparameters."""

    def tune(self, experiment: "Experiment") -> "TuningResult":
        """Run the trials of an experiment.

        Raises:
            InputError: The tuner cannot do what the experiment asks for.
            StepError: Too many trials failed.
        """


class Trainer(Protocol):
    """Trains a model on one or several nodes."""

    def train(self, job: "TrainingJob") -> None:
        """Run the training program on every node and wait until it ends.

        Raises:
            InputError: The program refused its input.
            StepError: A node failed, or the training took too long.
        """


class Backend(Protocol):
    """Runs jobs somewhere. Every method stops what it started, even if it fails, except a deployed service."""

    @property
    def tuner(self) -> Tuner:
        """Tuner of this backend."""

    @property
    def trainer(self) -> Trainer:
        """Trainer of this backend."""

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """Return a client of a Dask cluster that exists as long as the `with` block."""

    def deploy(self, service: "Service") -> "Deployment":
        """Deploy a model and test that it answers.

        Raises:
            StepError: The service did not become ready or gave a wrong answer.
        """

    def deployed(self, service_name: str) -> "DeployedBundles":
        """Return the bundle that a service serves, and the one before; `deploy` keeps a record of both.

        Raises:
            StepError: The backend cannot tell.
        """

    def clean_up(self, run_id: str) -> list[str]:
        """Delete what a run left behind, except data and tested services; may be repeated.

        Returns:
            One line per removed thing.

        Raises:
            InputError: The run id is invalid.
            StepError: Something cannot be removed.
        """

    def clean_up_data(self, data_root: str, older_than: timedelta, dry_run: bool) -> Iterable[str]:
        """Delete the data of old runs below a data root, except data that is still read.

        Args:
            data_root: Folder with the marker of a data root.
            older_than: Minimum age of a run's newest file.
            dry_run: Only say what would be deleted.

        Returns:
            One line per run that was deleted, or kept although it is old.

        Raises:
            InputError: The folder is not a data root.
            StepError: Something cannot be deleted, or the backend cannot tell what is still read.
        """

    def check(self, inputs: "Inputs", work_dir: Path, pull_image: bool, config_file: Path | None) -> "list[Check]":
        """Check that everything is as the pipeline needs it.

        Args:
            inputs: Data of the pipeline.
            work_dir: Folder of local runs; only the local backend checks it.
            pull_image: Whether to start a pod of the image; clusters only.
            config_file: Configuration whose resources are compared with the quotas; clusters only.

        Raises:
            InputError: The configuration is invalid, or the backend cannot be reached with these settings.
        """


def get_backend(name: str, pods: PodSettings | None = None, deployments: Path | None = None) -> Backend:
    """Return a backend; the libraries of the other one are not imported.

    Args:
        name: `kubernetes` or `local`.
        pods: Settings of the pods; the local backend ignores them.
        deployments: Folder in which the local backend keeps deployed bundles; None: it keeps none.
    """
    if name == "kubernetes":
        from container_component_src.backends.kubernetes import KubernetesBackend  # noqa: PLC0415

        return KubernetesBackend(pods or PodSettings())
    from container_component_src.backends.local import LocalBackend  # noqa: PLC0415

    return LocalBackend(deployments)
