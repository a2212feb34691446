"""Which operator trains on a cluster."""

import pytest

from container_component_src.backends.kubernetes.training import KubernetesTrainer, choose
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.training import TrainingApi
from tests.backends.kubernetes.golden import STEP, context
from tests.backends.kubernetes.playing import playing
from tests.backends.kubernetes.test_pytorch_job_manifest import job
from tests.backends.kubernetes.trainer_controller import Trainer
from tests.backends.kubernetes.training_operator import TrainingOperator
from tests.cluster.emulator import Emulator

GROUPS = {TrainingApi.PYTORCH_JOB: "/kubeflow.org/v1$", TrainingApi.TRAIN_JOB: "/trainer.kubeflow.org/v1alpha1$"}


def hide(emulator: Emulator, *kinds: TrainingApi) -> None:
    """Let the API know nothing about kinds of jobs."""
    for kind in kinds:
        emulator.fail("GET", GROUPS[kind], 404, times=99)


@pytest.mark.parametrize(
    ("missing", "chosen"),
    [
        ([], TrainingApi.PYTORCH_JOB),
        ([TrainingApi.TRAIN_JOB], TrainingApi.PYTORCH_JOB),
        ([TrainingApi.PYTORCH_JOB], TrainingApi.TRAIN_JOB),
    ],
)
def test_what_the_cluster_serves_trains(
    cluster: Cluster,
    emulator: Emulator,
    missing: list[TrainingApi],
    chosen: TrainingApi,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    hide(emulator, *missing)
    assert choose(cluster) is chosen
    assert f"training as a {chosen}" in caplog.text


def test_a_cluster_that_serves_none_is_refused(cluster: Cluster, emulator: Emulator) -> None:
    hide(emulator, *GROUPS)
    message = r"neither PyTorchJob nor TrainJob; install the training operator \(v1\) or Kubeflow Trainer \(v2\)"
    with pytest.raises(StepError, match=message):
        choose(cluster)


@pytest.mark.parametrize("api", [TrainingApi.PYTORCH_JOB, TrainingApi.TRAIN_JOB])
def test_the_named_operator_trains(cluster: Cluster, step: Step, emulator: Emulator, api: TrainingApi) -> None:
    operator, trainer = TrainingOperator(emulator), Trainer(emulator)
    with playing(operator), playing(trainer):
        KubernetesTrainer(context(cluster, step)).train(job().model_copy(update={"training_api": api}))
    assert (len(operator.handled), len(trainer.handled)) == ((1, 0) if api is TrainingApi.PYTORCH_JOB else (0, 1))


@pytest.mark.parametrize(
    ("api", "kinds"),
    [
        (TrainingApi.AUTO, ["PyTorchJob"]),
        (TrainingApi.PYTORCH_JOB, ["PyTorchJob"]),
        (TrainingApi.TRAIN_JOB, ["TrainingRuntime", "TrainJob"]),
    ],
)
def test_manifests_need_no_cluster(cluster: Cluster, emulator: Emulator, api: TrainingApi, kinds: list[str]) -> None:
    made = KubernetesTrainer(context(cluster, STEP)).manifests(job().model_copy(update={"training_api": api}))
    assert [manifest["kind"] for manifest in made] == kinds
    assert emulator.requests() == []
