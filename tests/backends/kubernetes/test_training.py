"""Training end to end against an emulated cluster where a thread plays the training operator."""

from collections.abc import Iterator

import pytest

from container_component_src.backends.kubernetes import training
from container_component_src.cluster import children, conditions, logs
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS
from tests.backends.kubernetes.katib_controller import condition
from tests.backends.kubernetes.stopping import stop_when
from tests.backends.kubernetes.test_training_manifest import job
from tests.backends.kubernetes.training_controller import TrainingOperator, playing
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import RunCommand

EPOCHS = "".join(f"epoch {number}\n" for number in range(5))
FAILED = condition("Failed")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again at once."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(logs, "RECONNECT_INTERVAL", 0.02)


@pytest.fixture
def operator(emulator: Emulator) -> Iterator[TrainingOperator]:
    """A controller at work; nothing is left behind in the end."""
    with playing(TrainingOperator(emulator)) as controller:
        yield controller
    assert [emulator.objects(kind) for kind in ("PyTorchJob", "Pod")] == [{}, {}]


def the_job(emulator: Emulator) -> str:
    (name,) = emulator.objects("PyTorchJob")
    return name


def test_the_first_replicas_log_is_shown(
    cluster: Cluster, step: Step, operator: TrainingOperator, capsys: pytest.CaptureFixture[str]
) -> None:
    training.train(cluster, step, PODS, job(3))
    assert capsys.readouterr().out == EPOCHS


@pytest.mark.parametrize(("status", "times"), [(500, 7), (404, 3), (0, 7)])
def test_the_log_survives_broken_connections(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    emulator: Emulator,
    capsys: pytest.CaptureFixture[str],
    status: int,
    times: int,
) -> None:
    fault = emulator.fail("GET", "/log$", status, times)
    when(
        lambda: emulator.objects("PyTorchJob"),
        lambda: setattr(emulator.log(f"{the_job(emulator)}-master-0"), "drops", 2),
    )
    operator.lines = 30
    training.train(cluster, step, PODS, job())
    assert capsys.readouterr().out == "".join(f"epoch {number}\n" for number in range(30))
    assert fault.seen == times


@pytest.mark.parametrize(("code", "kind"), [(1, StepError), (2, InputError), (137, StepError)])
def test_a_failed_replica_tells_why(
    cluster: Cluster, step: Step, operator: TrainingOperator, code: int, kind: type[Exception]
) -> None:
    operator.exit_codes = {"worker-1": code, "master-0": 1}  # the master failed later, because the worker was gone
    operator.reason = "OOMKilled" if code == 137 else "Error"
    message = (
        rf"pod \S+-worker-1 of the training ended with code {code} \({operator.reason}\): error: worker-1 does not"
    )
    with pytest.raises(kind, match=message) as caught:
        training.train(cluster, step, PODS, job(3))
    assert type(caught.value) is kind


def test_the_cause_is_named_where_replicas_end_in_the_same_second(
    cluster: Cluster, step: Step, operator: TrainingOperator
) -> None:
    operator.exit_codes = {"worker-0": 1, "worker-1": 2}
    with pytest.raises(InputError, match=r"pod \S+-worker-1 of the training ended with code 2"):
        training.train(cluster, step, PODS, job(3))


def test_a_job_over_its_deadline_names_the_option(cluster: Cluster, step: Step, operator: TrainingOperator) -> None:
    operator.overdue = True
    with pytest.raises(StepError, match="active longer than deadline; raise --job-timeout"):
        training.train(cluster, step, PODS, job())


def test_pods_that_do_not_start_are_named(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    operator.pending = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}],
        "containerStatuses": [
            {"name": "pytorch", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
        ],
    }
    monkeypatch.setattr(training, "GRACE", 0.0)
    with pytest.raises(StepError, match="see that its pods start, or raise --job-timeout"):
        training.train(cluster, step, PODS, job().model_copy(update={"timeout": 0.5}))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    (master,) = {warning.split()[1] for warning in warnings}
    assert warnings == [
        f"pod {master} waits for a node: 0/3 nodes are available",
        f"pod {master} does not start: ErrImagePull (no such image)",
    ]


def test_deletion_from_outside_is_named(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    operator.idle = True
    when(lambda: operator.handled, lambda: emulator.remove("PyTorchJob", the_job(emulator)))
    with pytest.raises(StepError, match=r"PyTorchJob \S+ was deleted while it ran"):
        training.train(cluster, step, PODS, job())


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(("method", "path"), [("POST", "/pytorchjobs$"), ("GET", "/pytorchjobs/")])
def test_passing_failures_of_the_api_are_overcome(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    training.train(cluster, step, PODS, job())
    assert fault.seen == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/pytorchjobs$", 403, "not allowed to create PyTorchJob"),
        ("POST", "/pytorchjobs$", 404, r"install the training operator \(v1\)"),
        ("GET", "/pytorchjobs/", 403, "not allowed to get PyTorchJob"),
        ("GET", "/pytorchjobs/", 500, "injected failure"),
    ],
)
def test_lasting_failures_of_the_api_are_named(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    emulator: Emulator,
    method: str,
    path: str,
    status: int,
    message: str,
) -> None:
    operator.idle = True
    emulator.fail(method, path, status, times=99)
    with pytest.raises(StepError, match=message):
        training.train(cluster, step, PODS, job())


def test_a_second_attempt_adopts_the_running_job(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    operator.lines = 30
    before = emulator.put("PyTorchJob", children.with_digest(training.manifest(step, PODS, job())))
    training.train(cluster, retried, PODS, job())
    assert operator.handled == {before["metadata"]["uid"]}
    assert capsys.readouterr().out == "".join(f"epoch {number}\n" for number in range(30))


def test_a_job_that_failed_before_is_started_anew(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    failed = {**children.with_digest(training.manifest(step, PODS, job())), "status": {"conditions": [FAILED]}}
    operator.handled.add("before")
    emulator.put("PyTorchJob", {**failed, "metadata": {**failed["metadata"], "uid": "before"}})
    training.train(cluster, step, PODS, job())
    assert len(operator.handled) == 2


def test_two_runs_at_the_same_time(cluster: Cluster, operator: TrainingOperator, emulator: Emulator) -> None:
    operator.idle = True
    foreign = training.manifest(Step("another-run"), PODS, job())
    emulator.put("PyTorchJob", foreign)
    when(lambda: operator.handled, lambda: setattr(operator, "idle", False))
    training.train(cluster, Step("this-run"), PODS, job())
    assert list(emulator.objects("PyTorchJob")) == [foreign["metadata"]["name"]]
    emulator.remove("PyTorchJob", foreign["metadata"]["name"])


OPTIONS = [
    *("run_pytorchjob", "--train-df-path", "s3://data/train", "--val-df-path", "s3://data/val"),
    *("--model-output-file", "s3://data/model", "--num-gpu-nodes", "2", "--backend", "kubernetes"),
    *("--hyperparameters", '{"batch_size": 64}', "--namespace", NAMESPACE, "--image", PODS.image),
]


def test_the_command_says_what_failed(run_command: RunCommand, emulator: Emulator, operator: TrainingOperator) -> None:
    operator.exit_codes = {"master-0": 2}
    outcome = run_command(*OPTIONS)
    assert outcome.code == 2
    assert outcome.stdout.endswith(EPOCHS + "error: master-0 does not like it; mend it\n")
    assert "error: master-0 does not like it; mend it" in outcome.stderr


def test_the_dry_run_prints_the_manifest(run_command: RunCommand, emulator: Emulator) -> None:
    outcome = run_command(*OPTIONS, "--dry-run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("apiVersion: kubeflow.org/v1\nkind: PyTorchJob\n")
    assert emulator.requests() == []


def test_a_command_that_is_told_to_stop_leaves_nothing(emulator: Emulator, operator: TrainingOperator) -> None:
    operator.idle = True
    stop_when(lambda: operator.handled, OPTIONS)
