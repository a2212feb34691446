"""Each right that deploy/rbac.yaml grants is used; that no other is needed is what the emulated API sees to."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from container_component_src.backends.kubernetes import (
    dask,
    pytorch_job_manifest,
    train_job,
    train_job_manifest,
    tuning_manifest,
)
from container_component_src.backends.kubernetes.training import KubernetesTrainer
from container_component_src.backends.kubernetes.tuning import KatibTuner
from container_component_src.cluster import conditions, owned_objects
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.events import warnings_about
from container_component_src.cluster.eviction import is_evicted
from container_component_src.cluster.step import Step
from container_component_src.data_root import begin_run
from container_component_src.errors import StepError
from container_component_src.maintenance.cluster_cleanup import clean_up_cluster
from container_component_src.maintenance.data_cleanup import clean_up_data
from container_component_src.steps.data import ClusterSpec
from tests.backends.kubernetes import katib_controller, trainer_controller, training_operator
from tests.backends.kubernetes.dask_operator import Kubelet, resolving, running
from tests.backends.kubernetes.deployments import deploy, service
from tests.backends.kubernetes.golden import PODS, context
from tests.backends.kubernetes.kserve_controller import KServe
from tests.backends.kubernetes.playing import playing
from tests.backends.kubernetes.test_pytorch_job_manifest import job
from tests.backends.kubernetes.test_tuning_manifest import experiment
from tests.cluster.emulator import Emulator
from tests.cluster.rights import granted

SECOND_POD = {"pod_name": "step-pod-2", "pod_uid": "00000000-0000-4000-8000-0000000000bb"}


@pytest.fixture
def dask_operator(emulator: Emulator, tmp_path: Path) -> Iterator[None]:
    """Run the Dask operator."""
    with running(Kubelet(emulator, tmp_path)) as kubelet, resolving(kubelet):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("kserve", "dask_operator")
def test_all_granted_rights_are_used(
    cluster: Cluster,
    step: Step,
    emulator: Emulator,
    kserve: KServe,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.2)
    kserve.idle = True  # it has nothing to do at first, and looks often
    retried = Step(step.run_id, **SECOND_POD)
    with playing(training_operator.TrainingOperator(emulator)):
        emulator.put("PyTorchJob", owned_objects.with_digest(pytorch_job_manifest.manifest(step, PODS, job())))
        KubernetesTrainer(context(cluster, retried)).train(job())
    with playing(trainer_controller.Trainer(emulator)):
        emulator.put("TrainingRuntime", owned_objects.with_digest(train_job_manifest.runtime(step, PODS, job())))
        emulator.put("TrainJob", owned_objects.with_digest(train_job_manifest.manifest(step, PODS, job())))
        train_job.train(context(cluster, retried), job())
    with playing(katib_controller.Katib(emulator)):
        emulator.put("Experiment", owned_objects.with_digest(tuning_manifest.manifest(step, PODS, experiment())))
        KatibTuner(context(cluster, retried)).tune(experiment())
    with (
        dask.dask_client(cluster, step, PODS, ClusterSpec(num_dask_workers=1)),
        dask.dask_client(cluster, retried, PODS, ClusterSpec(num_dask_workers=1)),
    ):
        pass
    with dask.dask_client(cluster, step, PODS, ClusterSpec(num_dask_workers=1, min_workers=1, max_workers=2)):
        pass
    kserve.scores["one"], kserve.idle = 2.0, False
    with pytest.raises(StepError, match="deleted again"):
        deploy(cluster, step, service("one"))
    deploy(cluster, step, service("two"))
    deploy(cluster, step, service("three"))
    clean_up_cluster(cluster, step.run_id)
    data_root = str(tmp_path_factory.mktemp("runs"))
    begin_run(data_root, "", {"PIPELINE_RUN_ID": step.run_id})
    list(clean_up_data(data_root, timedelta(0), cluster))
    warnings_about(cluster, ["one"])
    assert not is_evicted(cluster, step, {"name": "run-1"})
    assert emulator.rights_used() == granted()
