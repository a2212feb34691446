"""Tuning end to end against an emulated cluster where a thread plays Katib."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.backends.kubernetes import tuning
from container_component_src.cluster import conditions
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.tuning.experiment import TrialState
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS
from tests.backends.kubernetes.katib_controller import Katib, playing
from tests.backends.kubernetes.stopping import stop_when
from tests.backends.kubernetes.test_tuning_manifest import experiment
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import RunCommand, assert_refused, write_dataset

LEFT = ("Experiment", "Trial", "Pod")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again at once."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.02)


@pytest.fixture
def katib(emulator: Emulator) -> Iterator[Katib]:
    """A controller at work; nothing is left behind in the end."""
    with playing(Katib(emulator)) as controller:
        yield controller
    assert [emulator.objects(kind) for kind in LEFT] == [{}, {}, {}]


def test_the_best_trial_is_found(cluster: Cluster, step: Step, katib: Katib, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    katib.losses = lambda chosen: 1.0 / float(chosen["beta"])
    result = tuning.tune(cluster, step, PODS, experiment())
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert {trial.state for trial in result.trials} == {TrialState.SUCCEEDED}
    best = result.best
    assert (best.objective, best.hyperparameters.beta, best.hyperparameters.hidden_dims) == (1.0, 1.0, (16, 8))
    assert (best.hyperparameters.lr, best.seconds) == (1e-05, 30.0)
    assert "trials: 0 running, 3 succeeded; best val_loss 1" in caplog.text


def test_trials_that_failed_or_stopped_early_are_told_apart(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.stopped_early = 1
    katib.losses = lambda chosen: None if chosen["beta"] == "1.0" else 2.0
    result = tuning.tune(cluster, step, PODS, experiment(max_trials=8, max_failed_trials=8))
    states = [trial.state.value for trial in result.trials]
    assert states.count("failed") == 4
    assert states[0] == "early-stopped"
    assert result.trials[0].objective == 2.0
    assert next(trial for trial in result.trials if trial.objective is None).failure == "Trial has Failed"


def test_failed_trials_tell_why(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses = lambda chosen: None
    message = r"max failed trials count has reached; trial \S+-00000000: starting \| error: dataset 0 is broken"
    with pytest.raises(StepError, match=message):
        tuning.tune(cluster, step, PODS, experiment())


def test_trials_without_metrics_make_no_optimum(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses = lambda chosen: "unavailable"
    with pytest.raises(StepError, match="no trial reported the objective; trial"):
        tuning.tune(cluster, step, PODS, experiment(max_failed_trials=3))


def test_success_without_an_optimum_is_a_failure(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.forgetful = True
    with pytest.raises(StepError, match="failed: no trial reported the objective"):
        tuning.tune(cluster, step, PODS, experiment())


def test_an_experiment_without_progress_ends(
    cluster: Cluster, step: Step, katib: Katib, monkeypatch: pytest.MonkeyPatch
) -> None:
    katib.idle = True
    monkeypatch.setattr(tuning, "START_UP_TIME", 0.1)
    with pytest.raises(StepError, match="see that its trials start, or raise --trial-timeout"):
        tuning.tune(cluster, step, PODS, experiment(trial_timeout=0.1))


def test_deletion_from_outside_is_named(cluster: Cluster, step: Step, katib: Katib, emulator: Emulator) -> None:
    katib.idle = True
    when(
        lambda: emulator.objects("Experiment"),
        lambda: emulator.remove("Experiment", next(iter(emulator.objects("Experiment")))),
    )
    with pytest.raises(StepError, match=r"Experiment \S+ was deleted while it ran"):
        tuning.tune(cluster, step, PODS, experiment())


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(("method", "path"), [("POST", "/experiments$"), ("GET", "/experiments/"), ("GET", "/trials$")])
def test_passing_failures_of_the_api_are_overcome(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    assert tuning.tune(cluster, step, PODS, experiment()).best.objective == 4.0
    assert fault.seen == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/experiments$", 403, "not allowed to create Experiment"),
        ("POST", "/experiments$", 404, "install Katib"),
        ("GET", "/experiments/", 403, "not allowed to get Experiment"),
        ("GET", "/trials$", 403, "not allowed to list Trial"),
        ("GET", "/experiments/", 500, "injected failure"),
    ],
)
def test_lasting_failures_of_the_api_are_named(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator, method: str, path: str, status: int, message: str
) -> None:
    emulator.fail(method, path, status, times=99)
    with pytest.raises(StepError, match=message):
        tuning.tune(cluster, step, PODS, experiment())


def test_two_runs_at_the_same_time(cluster: Cluster, katib: Katib, emulator: Emulator) -> None:
    foreign = tuning.manifest(Step("another-run"), PODS, experiment())
    emulator.put("Experiment", foreign)
    assert tuning.tune(cluster, Step("this-run"), PODS, experiment()).best
    assert list(emulator.objects("Experiment")) == [foreign["metadata"]["name"]]
    emulator.remove("Experiment", foreign["metadata"]["name"])


def test_a_second_attempt_adopts_the_running_experiment(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator
) -> None:
    katib.idle = True
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")

    def take_over() -> None:
        katib.idle = False
        katib.handled.clear()

    killed = KeyboardInterrupt

    def kill(*_: Any) -> None:
        raise killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "_wait", kill)
        patch.setattr("container_component_src.cluster.children._delete_after_failure", lambda *_: None)
        with pytest.raises(killed):
            tuning.tune(cluster, step, PODS, experiment())
    (before,) = emulator.objects("Experiment").values()
    when(
        lambda: len(emulator.objects("Experiment")[before["metadata"]["name"]]["metadata"]["ownerReferences"]) == 2,
        take_over,
    )
    assert tuning.tune(cluster, retried, PODS, experiment()).best.objective == 4.0
    assert [method for method, path in emulator.requests() if path.endswith("/experiments")] == ["POST", "POST"]


@pytest.fixture
def options(bucket: str, tmp_path: Path) -> list[str]:
    """The command line of a small experiment with data in object storage."""
    values = np.zeros((4, 2))
    for name in ("train", "val"):
        write_dataset(f"{bucket}/{name}", values)
    data = ["--train-df-path", f"{bucket}/train", "--val-df-path", f"{bucket}/val"]
    rest = ["--latent-dims", "[4, 8]", "--max-trials", "2", "--trials-path", str(tmp_path / "trials.csv")]
    on = ["--backend", "kubernetes", "--namespace", NAMESPACE, "--image", PODS.image]
    return ["run_katib_experiment", *data, *rest, *on]


def test_the_command_tunes(
    run_command: RunCommand, emulator: Emulator, katib: Katib, options: list[str], tmp_path: Path
) -> None:
    outcome = run_command(*options)
    assert outcome.code == 0, outcome.stderr
    assert "best val_loss 4" in outcome.stdout
    assert (tmp_path / "trials.csv").read_text().count("succeeded") == 2


def test_the_command_says_what_failed(
    run_command: RunCommand, emulator: Emulator, katib: Katib, options: list[str]
) -> None:
    katib.losses = lambda chosen: None
    assert_refused(run_command(*options), "error: dataset 0 is broken; mend it", code=1)


def test_the_dry_run_prints_the_manifest(run_command: RunCommand, emulator: Emulator, options: list[str]) -> None:
    outcome = run_command(*options, "--dry-run")
    assert outcome.code == 0
    assert outcome.stdout.startswith("apiVersion: kubeflow.org/v1beta1\nkind: Experiment\n")
    assert emulator.requests() == []


def test_a_command_that_is_told_to_stop_leaves_nothing(emulator: Emulator, katib: Katib, options: list[str]) -> None:
    katib.idle = True
    stop_when(lambda: katib.handled, options)
