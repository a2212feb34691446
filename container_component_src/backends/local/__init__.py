"""Jobs as processes on this machine."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

    from container_component_src.backends.local.training import LocalTrainer
    from container_component_src.backends.local.tuning import LocalTuner
    from container_component_src.maintenance.checks import Check
    from container_component_src.maintenance.input_checks import Inputs
    from container_component_src.serving.deployment.service import DeployedBundles, Deployment, Service
    from container_component_src.steps.data import ClusterSpec

# ruff: noqa: PLC0415 - a method imports its libraries when it is called


class LocalBackend:
    """Backend that needs no cluster.

    The methods are described by `container_component_src.backends.base.Backend`.

    Args:
        deployments: Folder of the deployed bundles; None: none are kept.
    """

    def __init__(self, deployments: Path | None = None) -> None:
        self._deployments = deployments

    @property
    def tuner(self) -> "LocalTuner":
        """Tuner that runs trials as processes."""
        from container_component_src.backends.local.tuning import LocalTuner

        return LocalTuner()

    @property
    def trainer(self) -> "LocalTrainer":
        """Trainer that runs one process per node."""
        from container_component_src.backends.local.training import LocalTrainer

        return LocalTrainer()

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """Return a client of a Dask cluster of threads."""
        from container_component_src.backends.local.dask import dask_client

        return dask_client(spec)

    def deploy(self, service: "Service") -> "Deployment":
        """Run the containers of a service as processes, test it, and stop them."""
        from container_component_src.backends.local import deployments
        from container_component_src.backends.local.serving import deploy

        deployment = deploy(service)
        if self._deployments:
            deployments.record(self._deployments, service)
        return deployment

    def deployed(self, service_name: str) -> "DeployedBundles":
        """Return the copies of the bundles of a service in the folder of the deployed bundles."""
        from container_component_src.backends.local import deployments
        from container_component_src.serving.deployment.service import DeployedBundles

        return deployments.read(self._deployments, service_name) if self._deployments else DeployedBundles()

    def clean_up(self, run_id: str) -> list[str]:
        """Stop the processes of a run and delete its scratch folders."""
        from container_component_src.maintenance.cleanup import clean_up

        return clean_up(run_id)

    def clean_up_data(self, data_root: str, older_than: timedelta, dry_run: bool) -> Iterable[str]:
        """Delete the data of old runs of single machines."""
        from container_component_src.maintenance.data_cleanup import clean_up_data

        return clean_up_data(data_root, older_than, None, dry_run)

    def check(self, inputs: "Inputs", work_dir: Path, pull_image: bool, config_file: Path | None) -> "list[Check]":
        """Check this machine, the store and the data."""
        from container_component_src.maintenance.doctor import run_checks

        return run_checks(inputs, work_dir)
