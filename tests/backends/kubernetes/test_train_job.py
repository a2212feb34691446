"""Training end to end against an emulated cluster where a thread plays Kubeflow Trainer."""

import logging
import threading
from collections.abc import Iterator

import pytest

from container_component_src.backends.kubernetes import train_job
from container_component_src.backends.kubernetes.train_job_manifest import manifest, runtime
from container_component_src.cluster import owned_objects
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.start_up import StartUp
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.steps.training import TrainingJob
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS, context
from tests.backends.kubernetes.playing import playing
from tests.backends.kubernetes.test_pytorch_job_manifest import job
from tests.backends.kubernetes.trainer_controller import COMPLETE, Trainer, pod_of
from tests.backends.kubernetes.training_operator import UNSCHEDULABLE
from tests.cluster.emulator import Emulator
from tests.cluster.test_eviction import evict

pytestmark = pytest.mark.usefixtures("short_pauses")
EPOCHS = "".join(f"epoch {number}\n" for number in range(5))
SUSPENDED = "suspended by a queue"
SECOND = ("step-pod-2", "00000000-0000-4000-8000-0000000000bb")


def train(cluster: Cluster, step: Step, wanted: TrainingJob) -> None:
    train_job.train(context(cluster, step), wanted)


@pytest.fixture
def trainer(emulator: Emulator) -> Iterator[Trainer]:
    """A controller at work; nothing is left behind in the end."""
    with playing(Trainer(emulator)) as controller:
        yield controller
    controller.hold_runtimes()
    assert [emulator.objects(kind) for kind in ("TrainJob", "TrainingRuntime", "Pod")] == [{}, {}, {}]


def the_job(emulator: Emulator) -> str:
    (name,) = emulator.objects("TrainJob")
    return name


def test_the_log_of_the_first_pod_and_the_progress_are_shown(
    cluster: Cluster,
    step: Step,
    trainer: Trainer,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    train(cluster, step, job(3))
    assert capsys.readouterr().out == EPOCHS
    assert any(record.getMessage().endswith(": 3 of 3 pods run") for record in caplog.records)


@pytest.mark.parametrize(("code", "kind"), [(1, StepError), (2, InputError), (137, StepError)])
def test_the_error_quotes_the_log_of_a_failed_pod(
    cluster: Cluster, step: Step, trainer: Trainer, code: int, kind: type[Exception]
) -> None:
    trainer.exit_codes, trainer.reason = {1: code}, "OOMKilled" if code == 137 else "Error"
    fix = "; raise --memory" if code == 137 else ""
    message = rf"pod \S+-node-0-1-\S+ .* ended with code {code} \({trainer.reason}\): error: node 1 .*; fix it{fix}"
    with pytest.raises(kind, match=message) as caught:
        train(cluster, step, job(2))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("reason", "fix"), [("DeadlineExceeded", "raise --job-timeout"), ("Evicted", "run the step again")]
)
def test_a_pod_that_the_cluster_ended_is_reported(
    cluster: Cluster, step: Step, trainer: Trainer, reason: str, fix: str
) -> None:
    trainer.killed, trainer.exit_codes = {0: reason}, {1: 1}  # the other one lost its peer
    with pytest.raises(StepError, match=rf"pod \S+-node-0-0-\S+ .* by the cluster: {reason} .*; {fix}"):
        train(cluster, step, job(2))


def test_a_pod_deleted_by_others_is_reported(cluster: Cluster, step: Step, trainer: Trainer) -> None:
    trainer.deleted = {1}  # the cluster deletes the other one
    with pytest.raises(StepError, match=r"^pod \S+-node-0-1-\S+ of the training was deleted .*; run the step again"):
        train(cluster, step, job(2))


def test_a_pod_deleted_before_it_was_seen_is_reported(cluster: Cluster, step: Step, trainer: Trainer) -> None:
    trainer.unseen = True
    with pytest.raises(StepError, match=r"^a pod of the training was deleted .*; run the step again"):
        train(cluster, step, job(2))


def test_the_error_of_the_jobs_deadline_names_the_option(cluster: Cluster, step: Step, trainer: Trainer) -> None:
    trainer.overdue = True
    with pytest.raises(StepError, match="active too long; raise --job-timeout"):
        train(cluster, step, job())


def test_pods_that_do_not_start_are_reported(
    cluster: Cluster,
    step: Step,
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trainer.pending = {0: UNSCHEDULABLE}
    monkeypatch.setattr(train_job, "DEADLINE_MARGIN", 0.0)
    with pytest.raises(StepError, match="see that its pods start, or raise --job-timeout"):
        train(cluster, step, job().model_copy(update={"timeout": 0.5}))
    assert "waits for a node: 0/3 nodes are available" in caplog.text


def test_a_suspended_job_may_wait_for_its_queue(
    cluster: Cluster,
    step: Step,
    trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    checked = []
    monkeypatch.setattr(StartUp, "check", lambda *_: checked.append(trainer.suspended and SUSPENDED in caplog.text))
    trainer.suspended = True
    when(lambda: SUSPENDED in caplog.text, lambda: setattr(trainer, "suspended", False))
    train(cluster, step, job())
    assert True not in checked


@pytest.mark.usefixtures("of_workflow", "sigterm")
def test_the_job_of_an_evicted_step_is_left_to_the_next_attempt(
    cluster: Cluster, step: Step, trainer: Trainer, emulator: Emulator
) -> None:
    trainer.idle = True
    when(
        lambda: trainer.handled and emulator.log(pod_of(the_job(emulator), 0)).text == EPOCHS,
        lambda: evict(emulator, step),
    )
    with pytest.raises(SystemExit):
        train(cluster, step, job())
    assert set(emulator.objects("TrainingRuntime")) == {the_job(emulator)}
    emulator.remove("Pod", step.pod_name)
    emulator.log(pod_of(the_job(emulator), 0)).open = False
    trainer.end_pod(the_job(emulator), 0)
    trainer.patch(the_job(emulator), [COMPLETE], succeeded=1)
    train(cluster, Step(step.run_id, *SECOND), job())
    assert len(trainer.handled) == 1


def test_a_second_attempt_adopts_the_running_job(
    cluster: Cluster, step: Step, trainer: Trainer, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer.lines = 30
    emulator.put("TrainingRuntime", owned_objects.with_digest(runtime(step, PODS, job())))
    before = emulator.put("TrainJob", owned_objects.with_digest(manifest(step, PODS, job())))
    train(cluster, Step(step.run_id, *SECOND), job())
    assert trainer.handled == {before["metadata"]["uid"]}
    assert capsys.readouterr().out == "".join(f"epoch {number}\n" for number in range(30))


def test_a_second_attempt_with_other_options_replaces_the_job_and_its_runtime(
    cluster: Cluster, step: Step, trainer: Trainer, emulator: Emulator
) -> None:
    trainer.idle = True
    emulator.put("TrainingRuntime", owned_objects.with_digest(runtime(step, PODS, job())))
    emulator.put("TrainJob", owned_objects.with_digest(manifest(step, PODS, job())))
    in_use = threading.Event()
    when(lambda: "finalizers" in f"{emulator.objects('TrainingRuntime')}", in_use.set)
    assert in_use.wait(120)
    trainer.idle = False
    train(cluster, Step(step.run_id, *SECOND), job().model_copy(update={"timeout": 7.0}))
    assert len(trainer.handled) == 2


def test_a_deletion_by_others_is_reported(cluster: Cluster, step: Step, trainer: Trainer, emulator: Emulator) -> None:
    trainer.idle = True
    when(lambda: trainer.handled, lambda: emulator.remove("TrainJob", the_job(emulator)))
    with pytest.raises(StepError, match=r"TrainJob \S+ was deleted while it ran"):
        train(cluster, step, job())


def test_a_refused_job_leaves_no_runtime(cluster: Cluster, step: Step, trainer: Trainer, emulator: Emulator) -> None:
    emulator.fail("POST", "/trainjobs$", 403, times=99)
    with pytest.raises(StepError, match="not allowed to create TrainJob"):
        train(cluster, step, job())
