"""Tests of failures on a cluster: the steps' exit codes and messages, and that nothing remains."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kubernetes.client.exceptions import ApiException

from container_component_src.cluster.kinds import INFERENCE_SERVICE, PYTORCH_JOB, TRAIN_JOB
from container_component_src.storage import S3_ENVIRONMENT
from tests.cluster.live.data import Commands
from tests.cluster.live.step_pod import Session

RUN = "pipeline/runid={run}"
TRIAL = RUN + ",katib.kubeflow.org/experiment"
MASTER = RUN + ",training.kubeflow.org/replica-type=master"
FIRST_NODE = RUN + ",jobset.sigs.k8s.io/jobset-name,batch.kubernetes.io/job-completion-index=0"
SCHEDULER = RUN + ",dask.org/component=scheduler"
ABSENT_IMAGE = "registry.invalid/absent:none"


def tune(commands: Commands) -> list[str]:
    return commands.tune()


def train(commands: Commands) -> list[str]:
    return commands.train(target="model-of-fault", training_api="PyTorchJob")


def train_by_trainer(commands: Commands) -> list[str]:
    return commands.train(target="model-of-fault", training_api="TrainJob")


def preprocess(commands: Commands) -> list[str]:
    return commands.preprocess("dataset-of-fault")


TUNING = pytest.param(tune, TRIAL, id="tuning")
TRAININGS = [
    pytest.param(train, MASTER, id="PyTorchJob", marks=pytest.mark.serves(PYTORCH_JOB)),
    pytest.param(train_by_trainer, FIRST_NODE, id="TrainJob", marks=pytest.mark.serves(TRAIN_JOB)),
]
DASK = pytest.param(preprocess, SCHEDULER, id="dask")
LAUNCHES = pytest.mark.parametrize(("launch", "pods"), [TUNING, *TRAININGS, DASK])
Launch = Callable[[Commands], list[str]]


@LAUNCHES
def test_deleting_a_step_deletes_its_job(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str
) -> None:
    step = session.start(run_id, *launch(commands))
    session.await_pod(pods.format(run=run_id))
    session.delete_pod(step.name)
    session.await_nothing_left(run_id)


@pytest.mark.parametrize(("launch", "pods"), [TUNING, *TRAININGS])
def test_job_of_a_killed_step_is_adopted(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str
) -> None:
    step = session.start(run_id, *launch(commands), killable=True)
    session.await_pod(pods.format(run=run_id))
    step.kill()
    second = session.start(run_id, *launch(commands))
    second.wait_for("adopting")
    assert step.ended().code == 137
    ended = second.ended()
    assert ended.code == 0, ended.log


def test_deleted_trial_does_not_end_the_tuning(session: Session, commands: Commands, run_id: str) -> None:
    step = session.start(run_id, *commands.tune())
    session.delete_pod(session.await_pod(TRIAL.format(run=run_id)))
    ended = step.ended()
    assert ended.code == 0, ended.log


@pytest.mark.parametrize(("launch", "pods"), TRAININGS)
def test_deleted_pod_of_a_training_is_reported(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str
) -> None:
    step = session.start(run_id, *launch(commands))
    session.delete_pod(session.await_pod(pods.format(run=run_id)))
    ended = step.ended()
    assert ended.code == 1
    assert "deleted" in ended.log.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        (
            "--hyperparameters",
            '{"lr": 1e30}',
            r"error: pod \S+ of the training ended with code 1 .*: the training diverged",
        ),
        ("--job-timeout", "3", "error: .*raise --job-timeout$"),
    ],
)
@pytest.mark.parametrize(("launch", "pods"), TRAININGS)
def test_failure_of_a_training_is_reported(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str, option: str, value: str, error: str
) -> None:
    ended = session.run(run_id, *launch(commands), option, value)
    assert ended.code == 1
    assert re.match(error, ended.log.splitlines()[-1])


def test_deleted_scheduler_is_reported_unless_its_work_is_complete(
    session: Session, commands: Commands, run_id: str
) -> None:
    step = session.start(run_id, *preprocess(commands))
    step.wait_for("is ready")
    session.delete_pod(session.await_pod(SCHEDULER.format(run=run_id)), grace_seconds=0)
    ended = step.ended()
    assert ended.code == 0 or (ended.code == 1 and "scheduler" in ended.log.splitlines()[-1]), ended.log


def test_wrong_key_is_reported(session: Session, commands: Commands, run_id: str) -> None:
    name, namespace = f"live-{run_id[:8]}", session.target.namespace
    found = session.core.read_namespaced_secret(session.target.s3_secret, namespace)
    secret = {"metadata": {"name": name}, "data": {**found.data, "AWS_SECRET_ACCESS_KEY": "d3Jvbmc="}}
    assert set(secret["data"]) & set(S3_ENVIRONMENT)
    session.core.create_namespaced_secret(namespace, secret)
    try:
        ended = session.run(run_id, *train(commands), secret=name)
    finally:
        session.core.delete_namespaced_secret(name, namespace)
    assert ended.code != 0
    error = ended.log.splitlines()[-1]
    assert "AWS_ACCESS_KEY_ID" in error or "Secret" in error
    assert "no such file" not in error


@LAUNCHES
def test_exceeded_quota_is_reported_and_the_step_waits(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str
) -> None:
    with _pod_quota(session) as limit_pods:
        step = session.start(run_id, *launch(commands))
        limit_pods(0)
        step.wait_for("exceeded quota")
    ended = step.ended()
    assert ended.code == 0, ended.log


def test_refused_deployment_is_reported_and_rolled_back(session: Session, trained: Commands, run_id: str) -> None:
    name, kind = f"live-{uuid.uuid4().hex[:6]}", INFERENCE_SERVICE
    with _pod_quota(session) as limit_pods:
        step = session.start(run_id, *trained.deploy(name, ready_timeout="60"))
        limit_pods(0)
        ended = step.ended()
    assert ended.code == 1
    assert "exceeded quota" in ended.log.splitlines()[-1]
    found = session.custom.list_namespaced_custom_object(
        kind.group, kind.version, session.target.namespace, kind.plural
    )["items"]
    assert name not in {item["metadata"]["name"] for item in found if "deletionTimestamp" not in item["metadata"]}


@LAUNCHES
def test_missing_image_is_reported(
    session: Session, commands: Commands, run_id: str, launch: Launch, pods: str
) -> None:
    option = "--dask-worker-image" if launch is preprocess else "--image"
    arguments = launch(commands)
    arguments[arguments.index(option) + 1] = ABSENT_IMAGE
    step = session.start(run_id, *arguments)
    step.wait_for(r"ErrImagePull|ImagePullBackOff")
    session.delete_pod(step.name)


def test_service_of_another_owner_is_kept(session: Session, trained: Commands, run_id: str) -> None:
    name, kind, namespace = f"live-{uuid.uuid4().hex[:6]}", INFERENCE_SERVICE, session.target.namespace
    container = {"name": "kserve-container", "image": session.target.image, "command": ["sleep", "600"]}
    foreign = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name},
        "spec": {"predictor": {"containers": [container]}},
    }
    arguments = (kind.group, kind.version, namespace, kind.plural)
    session.custom.create_namespaced_custom_object(*arguments, foreign)
    try:
        ended = session.run(run_id, *trained.deploy(name))
        found = session.custom.get_namespaced_custom_object(*arguments, name)
    finally:
        session.custom.delete_namespaced_custom_object(*arguments, name)
    assert ended.code != 0
    assert name in ended.log.splitlines()[-1]
    assert found["spec"]["predictor"]["containers"][0]["command"] == ["sleep", "600"]


@contextmanager
def _pod_quota(session: Session) -> Iterator[Callable[[int], None]]:
    """Yield a function that limits the namespace to its current number of pods plus the given number."""
    name, namespace = f"live-{uuid.uuid4().hex[:6]}", session.target.namespace

    def limit(more: int) -> None:
        pods = session.core.list_namespaced_pod(namespace).items
        living = sum(pod.status.phase not in ("Succeeded", "Failed") for pod in pods)  # a quota counts no others
        quota = {"metadata": {"name": name}, "spec": {"hard": {"pods": str(living + more)}}}
        session.core.create_namespaced_resource_quota(namespace, quota)

    try:
        yield limit
    finally:
        try:
            session.core.delete_namespaced_resource_quota(name, namespace)
        except ApiException as error:
            if error.status != 404:
                raise
