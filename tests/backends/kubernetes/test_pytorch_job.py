"""Training end to end against an emulated cluster where a thread plays the training operator."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from container_component_src.backends.kubernetes import pytorch_job
from container_component_src.backends.kubernetes.pytorch_job_manifest import manifest
from container_component_src.cluster import owned_objects
from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.start_up import StartUp
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.steps.training import TrainingJob
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS, context
from tests.backends.kubernetes.katib_controller import condition
from tests.backends.kubernetes.playing import playing
from tests.backends.kubernetes.stopping import stop_when
from tests.backends.kubernetes.test_pytorch_job_manifest import job
from tests.backends.kubernetes.training_operator import UNSCHEDULABLE, TrainingOperator, container
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.test_eviction import evict
from tests.helpers import Invoke, write_dataset

pytestmark = pytest.mark.usefixtures("short_pauses")
EPOCHS = "".join(f"epoch {number}\n" for number in range(5))
FAILED = condition("Failed")


def train(cluster: Cluster, step: Step, wanted: TrainingJob) -> None:
    pytorch_job.train(context(cluster, step), wanted)


@pytest.fixture
def operator(emulator: Emulator) -> Iterator[TrainingOperator]:
    """A controller at work; nothing is left behind in the end."""
    with playing(TrainingOperator(emulator)) as controller:
        yield controller
    assert [emulator.objects(kind) for kind in ("PyTorchJob", "Pod")] == [{}, {}]


def the_job(emulator: Emulator) -> str:
    (name,) = emulator.objects("PyTorchJob")
    return name


def test_the_log_of_the_first_replica_is_printed(
    cluster: Cluster, step: Step, operator: TrainingOperator, capsys: pytest.CaptureFixture[str]
) -> None:
    train(cluster, step, job(3))
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
    train(cluster, step, job())
    assert capsys.readouterr().out == "".join(f"epoch {number}\n" for number in range(30))
    assert fault.seen == times


@pytest.mark.parametrize(("code", "kind"), [(1, StepError), (2, InputError), (137, StepError)])
def test_the_error_quotes_the_log_of_a_failed_replica(
    cluster: Cluster, step: Step, operator: TrainingOperator, code: int, kind: type[Exception]
) -> None:
    operator.exit_codes = {"worker-1": code, "master-0": 1}  # the master failed later, because the worker was gone
    operator.reason = "OOMKilled" if code == 137 else "Error"
    message = (
        rf"pod \S+-worker-1 of the training ended with code {code} \({operator.reason}\): error: worker-1 does not"
    )
    with pytest.raises(kind, match=message) as caught:
        train(cluster, step, job(3))
    assert type(caught.value) is kind


def test_the_cause_is_found_if_replicas_end_in_the_same_second(
    cluster: Cluster, step: Step, operator: TrainingOperator
) -> None:
    operator.exit_codes = {"worker-0": 1, "worker-1": 2}
    with pytest.raises(InputError, match=r"pod \S+-worker-1 of the training ended with code 2"):
        train(cluster, step, job(3))


def test_the_error_of_the_pods_deadline_names_the_option(
    cluster: Cluster, step: Step, operator: TrainingOperator
) -> None:
    operator.killed = {"master-0": "DeadlineExceeded"}
    operator.exit_codes = {"worker-0": 1}  # lost its master
    message = (
        r"pod \S+-master-0 .* by the cluster: DeadlineExceeded \(so it is\): .*error: master-0 .*; raise --job-timeout"
    )
    with pytest.raises(StepError, match=message):
        train(cluster, step, job(2))


def test_the_error_of_the_jobs_deadline_names_the_option(
    cluster: Cluster, step: Step, operator: TrainingOperator
) -> None:
    operator.overdue = True
    with pytest.raises(StepError, match="active longer than specified deadline; raise --job-timeout"):
        train(cluster, step, job())


def test_an_evicted_replica_is_reported(cluster: Cluster, step: Step, operator: TrainingOperator) -> None:
    operator.killed = {"worker-0": "Evicted"}
    operator.exit_codes = {"master-0": 1}
    with pytest.raises(StepError, match=r"pod \S+-worker-0 .* by the cluster: Evicted .*; run the step again"):
        train(cluster, step, job(2))


@pytest.mark.parametrize(
    ("deleted", "named"),
    [("master-0", r"pod \S+-master-0 of the training"), ("worker-1", r"a worker pod of PyTorchJob")],
)
def test_a_replica_deleted_by_others_is_reported(
    cluster: Cluster, step: Step, operator: TrainingOperator, deleted: str, named: str
) -> None:
    operator.deleted = {deleted}
    operator.exit_codes = {"worker-0": 1}  # lost a peer
    with pytest.raises(StepError, match=rf"{named} .*was deleted while it ran .*; run the step again"):
        train(cluster, step, job(3))


def test_a_replica_that_refused_its_input_is_reported_first(
    cluster: Cluster, step: Step, operator: TrainingOperator
) -> None:
    operator.deleted = {"master-0"}
    operator.exit_codes = {"worker-0": 2}
    with pytest.raises(InputError, match=r"pod \S+-worker-0 of the training ended with code 2"):
        train(cluster, step, job(2))


def waiting(reason: str, message: str) -> dict[str, Any]:
    """The status of a pod that has a node and does not start."""
    return {
        "phase": "Pending",
        "containerStatuses": [container("pytorch", waiting={"reason": reason, "message": message})],
    }


NO_IMAGE = waiting("ErrImagePull", "no such image")


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_pods_that_do_not_start_are_reported(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator.pending = {"master-0": UNSCHEDULABLE | NO_IMAGE}
    monkeypatch.setattr(pytorch_job, "DEADLINE_MARGIN", 0.0)
    with pytest.raises(StepError, match="see that its pods start, or raise --job-timeout"):
        train(cluster, step, job().model_copy(update={"timeout": 0.5}))
    warnings = warnings_in(caplog)
    (master,) = {warning.split()[1] for warning in warnings}
    assert warnings == [
        f"pod {master} waits for a node: 0/3 nodes are available",
        f"pod {master} does not start: ErrImagePull (no such image)",
    ]


def test_workers_that_do_not_start_are_reported_while_the_job_runs(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator.pending, operator.idle = {"worker-0": UNSCHEDULABLE}, True
    monkeypatch.setattr(pytorch_job, "DEADLINE_MARGIN", 0.0)
    with pytest.raises(StepError, match="see that its pods start"):
        train(cluster, step, job(2).model_copy(update={"timeout": 0.5}))
    assert [warning.partition("-worker-0 ")[2] for warning in warnings_in(caplog)] == [
        "waits for a node: 0/3 nodes are available"
    ]


def test_refused_pods_fail_the_step_with_the_operators_event(
    cluster: Cluster, step: Step, operator: TrainingOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.refused = {"master-0"}
    monkeypatch.setattr(pytorch_job, "StartUp", partial(StartUp, no_pod_limit=0.3))
    message = r"1 of 2 pods of PyTorchJob \S+ were not created .*FailedCreatePod .*exceeded quota: few"
    with pytest.raises(StepError, match=message):
        train(cluster, step, job(2))


def test_a_job_with_a_late_master_is_recreated(
    cluster: Cluster,
    step: Step,
    operator: TrainingOperator,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator.late = 2
    train(cluster, step, job(2))
    assert len(operator.handled) == 3
    assert capsys.readouterr().out == EPOCHS
    given_up = [warning for warning in warnings_in(caplog) if "gave up" in warning]
    (name,) = {warning.split()[1].removesuffix("-worker-0") for warning in given_up}
    assert given_up == 2 * [
        f"pod {name}-worker-0 gave up waiting for {name}-master-0 (init container init-pytorch: waiting for master); "
        f"pod {name}-master-0 waits for a node: 0/3 nodes are available; starting the job again"
    ]


@pytest.mark.parametrize("deaf", [True, False])
def test_a_master_that_does_not_start_or_is_unreachable_fails_the_step(
    cluster: Cluster, step: Step, operator: TrainingOperator, deaf: bool
) -> None:
    operator.deaf = deaf
    operator.pending = {} if deaf else {"master-0": NO_IMAGE}
    why = "" if deaf else r"pod \S+-master-0 does not start: ErrImagePull \(no such image\); "
    message = rf"\(init container init-pytorch: waiting for master\); {why}see that the master starts"
    with pytest.raises(StepError, match=message):
        train(cluster, step, job(2))
    assert len(operator.handled) == 1


@pytest.mark.usefixtures("of_workflow", "sigterm")
def test_the_job_of_an_evicted_step_is_left_to_the_next_attempt(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    operator.idle = True
    when(
        lambda: operator.handled and emulator.log(f"{the_job(emulator)}-master-0").text == EPOCHS,
        lambda: evict(emulator, step),
    )
    with pytest.raises(SystemExit):
        train(cluster, step, job())
    name = the_job(emulator)
    emulator.remove("Pod", step.pod_name)
    operator.idle = emulator.log(f"{name}-master-0").open = False
    operator.end(name, ["master-0"])
    train(cluster, Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb"), job())
    assert len(operator.handled) == 1


@pytest.mark.slow
def test_the_job_is_kept_while_the_api_server_is_unreachable(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    operator.idle = True
    when(lambda: operator.handled, lambda: emulator.fail("GET", "/pytorchjobs/", 503, times=99))
    with pytest.raises(TransientError):
        train(cluster, step, job())
    emulator.remove("PyTorchJob", the_job(emulator))


def test_a_deletion_by_others_is_reported(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    operator.idle = True
    when(lambda: operator.handled, lambda: emulator.remove("PyTorchJob", the_job(emulator)))
    with pytest.raises(StepError, match=r"PyTorchJob \S+ was deleted while it ran"):
        train(cluster, step, job())


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(("method", "path"), [("POST", "/pytorchjobs$"), ("GET", "/pytorchjobs/")])
def test_transient_failures_of_the_api_are_retried(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    train(cluster, step, job())
    assert fault.seen == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/pytorchjobs$", 403, "not allowed to create PyTorchJob"),
        ("POST", "/pytorchjobs$", 404, r"install the training operator \(v1\)"),
        ("GET", "/pytorchjobs/", 403, "not allowed to get PyTorchJob"),
    ],
)
def test_permanent_failures_of_the_api_are_reported(
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
        train(cluster, step, job())


def test_a_second_attempt_adopts_the_running_job(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    operator.lines = 30
    before = emulator.put("PyTorchJob", owned_objects.with_digest(manifest(step, PODS, job())))
    train(cluster, retried, job())
    assert operator.handled == {before["metadata"]["uid"]}
    assert capsys.readouterr().out == "".join(f"epoch {number}\n" for number in range(30))


def test_a_job_that_has_failed_is_recreated(
    cluster: Cluster, step: Step, operator: TrainingOperator, emulator: Emulator
) -> None:
    failed = {**owned_objects.with_digest(manifest(step, PODS, job())), "status": {"conditions": [FAILED]}}
    operator.handled.add("before")
    emulator.put("PyTorchJob", {**failed, "metadata": {**failed["metadata"], "uid": "before"}})
    train(cluster, step, job())
    assert len(operator.handled) == 2


def test_concurrent_runs_do_not_mix(cluster: Cluster, operator: TrainingOperator, emulator: Emulator) -> None:
    operator.idle = True
    foreign = manifest(Step("another-run"), PODS, job())
    emulator.put("PyTorchJob", foreign)
    when(lambda: operator.handled, lambda: setattr(operator, "idle", False))
    train(cluster, Step("this-run"), job())
    assert list(emulator.objects("PyTorchJob")) == [foreign["metadata"]["name"]]
    emulator.remove("PyTorchJob", foreign["metadata"]["name"])


@pytest.fixture
def options(bucket: str) -> list[str]:
    """A command line whose data is there."""
    for name in ("train", "val"):
        write_dataset(f"{bucket}/{name}", np.zeros((4, 2)))
    return [
        *("run_pytorchjob", "--train-df-path", f"{bucket}/train", "--val-df-path", f"{bucket}/val"),
        *("--model-output-file", f"{bucket}/model", "--num-gpu-nodes", "2", "--backend", "kubernetes"),
        *("--hyperparameters", '{"batch_size": 64}', "--namespace", NAMESPACE, "--image", PODS.image),
    ]


def test_the_command_reports_what_failed(invoke: Invoke, operator: TrainingOperator, options: list[str]) -> None:
    operator.exit_codes = {"master-0": 2}
    outcome = invoke(*options)
    assert outcome.code == 2
    assert outcome.stdout.endswith(EPOCHS + "error: master-0 does not like it; fix it\n")
    assert "error: master-0 does not like it; fix it" in outcome.stderr


def test_no_job_is_started_if_its_bundle_cannot_be_written(
    invoke: Invoke, emulator: Emulator, options: list[str]
) -> None:
    outcome = invoke(*options, "--model-output-file", "s3://no-such-bucket/model")
    assert outcome.code != 0
    assert "no-such-bucket/model" in outcome.stderr
    assert emulator.requests() == []


def test_the_dry_run_prints_the_manifest(invoke: Invoke, emulator: Emulator, options: list[str]) -> None:
    outcome = invoke(*options, "--dry-run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("apiVersion: kubeflow.org/v1\nkind: PyTorchJob\n")
    assert emulator.requests() == []


@pytest.mark.slow
def test_a_stopped_command_leaves_nothing(operator: TrainingOperator, options: list[str]) -> None:
    operator.idle = True
    stop_when(lambda: operator.handled, options)
