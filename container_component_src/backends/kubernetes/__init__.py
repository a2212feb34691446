"""Jobs as objects of a Kubernetes cluster, run by the operators of Kubeflow and Dask."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.cluster.access import CHECK_PATIENCE, Manifest, connect
from container_component_src.steps.shared import PodSettings

if TYPE_CHECKING:
    from distributed import Client

    from container_component_src.backends.kubernetes.training import KubernetesTrainer
    from container_component_src.backends.kubernetes.tuning import KatibTuner
    from container_component_src.maintenance.checks import Check
    from container_component_src.maintenance.input_checks import Inputs
    from container_component_src.serving.deployment.service import DeployedBundles, Deployment, Service
    from container_component_src.steps.data import ClusterSpec

# ruff: noqa: PLC0415 - a method imports its libraries when it is called


class KubernetesBackend:
    """Backend that runs jobs on a cluster.

    The methods are described by `container_component_src.backends.base.Backend`. Those that build a manifest need no
    cluster.

    Args:
        pods: Settings of the pods.
    """

    def __init__(self, pods: PodSettings) -> None:
        self.context = JobContext(pods)

    @property
    def tuner(self) -> "KatibTuner":
        """Tuner that creates Katib experiments."""
        from container_component_src.backends.kubernetes.tuning import KatibTuner

        return KatibTuner(self.context)

    @property
    def trainer(self) -> "KubernetesTrainer":
        """Trainer that creates PyTorchJobs or TrainJobs."""
        from container_component_src.backends.kubernetes.training import KubernetesTrainer

        return KubernetesTrainer(self.context)

    def dask_client(self, spec: "ClusterSpec") -> "AbstractContextManager[Client]":
        """Return a client of a Dask cluster that the operator runs."""
        from container_component_src.backends.kubernetes.dask import dask_client

        return dask_client(self.context.cluster, self.context.step, self.context.pods, spec)

    def dask_manifest(self, spec: "ClusterSpec") -> Manifest:
        """Return the DaskCluster that `dask_client` creates."""
        from container_component_src.backends.kubernetes.dask_manifest import manifest

        return manifest(self.context.step, self.context.pods, spec)

    def deploy(self, service: "Service") -> "Deployment":
        """Create or update an InferenceService."""
        from container_component_src.backends.kubernetes.serving import deploy

        return deploy(self.context.cluster, self.context.step, self.context.pods, service)

    def deployed(self, service_name: str) -> "DeployedBundles":
        """Return the bundles that the InferenceService of a name tells."""
        from container_component_src.backends.kubernetes.serving_bundles import deployed

        return deployed(self.context.cluster, service_name)

    def service_manifest(self, service: "Service") -> Manifest:
        """Return the InferenceService that `deploy` creates."""
        from container_component_src.backends.kubernetes.serving_manifest import manifest

        return manifest(self.context.step, self.context.pods, service)

    def clean_up(self, run_id: str) -> list[str]:
        """Delete the jobs of a run, and services that it never tested."""
        from container_component_src.maintenance.cluster_cleanup import clean_up_cluster

        return clean_up_cluster(self.context.cluster, run_id)

    def clean_up_data(self, data_root: str, older_than: timedelta, dry_run: bool) -> Iterable[str]:
        """Delete the data of the namespace's old runs, except what services and pods read."""
        from container_component_src.maintenance.data_cleanup import clean_up_data

        return clean_up_data(data_root, older_than, self.context.cluster, dry_run)

    def check(self, inputs: "Inputs", work_dir: Path, pull_image: bool, config_file: Path | None) -> "list[Check]":
        """Check the namespace, the store and the data."""
        from container_component_src.maintenance.cluster_checks import run_cluster_checks
        from container_component_src.maintenance.quota_checks import demands
        from container_component_src.settings import load_settings

        pods, wanted = self.context.pods, []
        if config_file:
            settings = load_settings(config_file)
            pods, wanted = pods.model_copy(update=settings.of_all_pods), demands(settings)
        cluster = connect(pods.namespace, patience=CHECK_PATIENCE)
        return run_cluster_checks(cluster, pods, inputs, pull_image, wanted)
