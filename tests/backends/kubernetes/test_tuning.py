"""Tuning end to end against an emulated cluster where a thread plays Katib."""

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.backends.kubernetes import tuning, tuning_watch
from container_component_src.backends.kubernetes.tuning import KatibTuner
from container_component_src.backends.kubernetes.tuning_manifest import manifest
from container_component_src.cluster import conditions, start_up
from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.owned_objects import with_digest
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.tuning import Experiment
from container_component_src.tuning.experiment import TrialState, TuningResult
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS, context
from tests.backends.kubernetes.katib_controller import TIMEOUT, Katib
from tests.backends.kubernetes.playing import playing
from tests.backends.kubernetes.stopping import stop_when
from tests.backends.kubernetes.test_tuning_manifest import experiment
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.test_eviction import EVICTED
from tests.helpers import Invoke, assert_refused, write_dataset

LEFT = ("Experiment", "Trial", "Pod")


def tune(cluster: Cluster, step: Step, wanted: Experiment) -> TuningResult:
    return KatibTuner(context(cluster, step)).tune(wanted)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again at once."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.02)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds of the limits of pods, to be shortened by the test: `pods` and `image`."""
    values = {"pods": 60.0, "image": 60.0}

    def start_up_of(cluster: Cluster, what: str) -> start_up.StartUp:
        return start_up.StartUp(cluster, what, no_pod_limit=values["pods"], image_limit=values["image"])

    monkeypatch.setattr(tuning_watch, "StartUp", start_up_of)
    return values


@pytest.fixture
def katib(emulator: Emulator) -> Iterator[Katib]:
    """A controller at work; nothing is left behind in the end."""
    with playing(Katib(emulator)) as controller:
        yield controller
    assert [emulator.objects(kind) for kind in LEFT] == [{}, {}, {}]


def test_the_best_trial_is_found(cluster: Cluster, step: Step, katib: Katib, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    katib.losses = lambda chosen: 1.0 / float(chosen["beta"])
    result = tune(cluster, step, experiment())
    assert [trial.number for trial in result.trials] == [0, 1, 2]
    assert {trial.state for trial in result.trials} == {TrialState.SUCCEEDED}
    best = result.best
    assert (best.objective, best.hyperparameters.beta, best.hyperparameters.hidden_dims) == (1.0, 1.0, (16, 8))
    assert (best.hyperparameters.lr, best.seconds) == (1e-05, 30.0)
    assert "trials: 0 running, 3 succeeded; best val_loss 1" in caplog.text


def test_failed_and_early_stopped_trials_are_distinguished(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.stopped_early = 1
    katib.losses = lambda chosen: None if chosen["beta"] == "1.0" else 2.0
    result = tune(cluster, step, experiment(max_trials=8, max_failed_trials=8))
    states = [trial.state.value for trial in result.trials]
    assert states.count("failed") == 4
    assert states[0] == "early-stopped"
    assert (result.trials[0].objective, result.trials[0].seconds) == (2.0, 30.0)
    failed = next(trial for trial in result.trials if trial.objective is None)
    assert re.fullmatch(r"exit code 1: starting \| error: dataset \d is broken; fix it", failed.failure)


def test_the_error_names_the_causes_of_failed_trials(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses = lambda chosen: None
    cause = r"exit code 1: starting \| error: dataset {0} is broken; fix it"
    message = (
        f"max failed count has reached; trial \\S+-00000000: {cause.format(0)}; trial \\S+-00000001: {cause.format(1)}$"
    )
    with pytest.raises(StepError, match=message):
        tune(cluster, step, experiment())


def test_an_experiment_without_metrics_fails(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses = lambda chosen: "unavailable"
    message = (
        r"no trial reported the objective; trial \S+: no val_loss=<number> in the output: starting \| error: dataset"
    )
    with pytest.raises(StepError, match=message):
        tune(cluster, step, experiment(max_failed_trials=3))


@pytest.mark.parametrize("loss", [None, "unavailable"])
@pytest.mark.parametrize("allowed", [0, 1, 2, 3])
def test_the_option_limits_the_number_of_failed_trials(
    cluster: Cluster, step: Step, katib: Katib, loss: str | None, allowed: int
) -> None:
    """One that prints no objective has failed too."""
    katib.losses = lambda chosen: loss if chosen["latent_dim"] == "4" else 1.0  # the first half of them
    wanted = experiment(max_trials=8, max_failed_trials=allowed)
    if allowed < 4:
        with pytest.raises(StepError, match="max failed count has reached"):
            tune(cluster, step, wanted)
    else:
        assert tune(cluster, step, wanted).best.objective == 1.0


def test_a_trial_that_took_too_long_is_reported_as_timeout(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses = lambda chosen: TIMEOUT if chosen["beta"] == "1.0" else 2.0
    trials = tune(cluster, step, experiment(max_trials=8, max_failed_trials=4)).trials
    assert [trial.state for trial in trials].count(TrialState.TIMEOUT) == 4
    late = next(trial for trial in trials if trial.state is TrialState.TIMEOUT)
    assert late.failure.startswith("stopped after 60 s, its --trial-timeout: starting | error: dataset")


def test_a_trial_whose_pod_was_deleted_is_reported_as_such(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.losses, katib.podless = (lambda chosen: None), True
    with pytest.raises(StepError, match=r"trial \S+-00000000: its pod was deleted from outside;"):
        tune(cluster, step, experiment())


def test_trials_of_a_deleted_experiment_of_the_same_name_are_ignored(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator
) -> None:
    name = manifest(step, PODS, experiment())["metadata"]["name"]
    old = {"name": name, "uid": "00000000-0000-4000-8000-0000000000cc"}
    katib.put_trial(old, f"{name}-old", {"latent_dim": "4"}, 0)
    assert [trial.number for trial in tune(cluster, step, experiment()).trials] == [0, 1, 2]
    emulator.remove("Trial", f"{name}-old")


def test_success_without_an_optimum_is_a_failure(cluster: Cluster, step: Step, katib: Katib) -> None:
    katib.forgetful = True
    with pytest.raises(StepError, match="failed: no trial reported the objective"):
        tune(cluster, step, experiment())


def test_an_experiment_without_progress_fails(
    cluster: Cluster, step: Step, katib: Katib, monkeypatch: pytest.MonkeyPatch
) -> None:
    katib.idle = True
    monkeypatch.setattr(tuning, "NO_POD_LIMIT", 0.1)
    with pytest.raises(StepError, match="see that its trials start, or raise --trial-timeout"):
        tune(cluster, step, experiment(trial_timeout=0.1))


def test_an_experiment_that_starts_no_trial_fails(
    cluster: Cluster, step: Step, katib: Katib, limits: dict[str, float]
) -> None:
    katib.idle = True
    limits["pods"] = 0.1
    with pytest.raises(StepError, match=r"1 of 2 pods of Katib experiment \S+ were not created in 0.1 s"):
        tune(cluster, step, experiment())


def test_trials_whose_pods_are_refused_are_not_counted_as_running(
    cluster: Cluster, step: Step, katib: Katib, limits: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    katib.refused = "pods is forbidden: exceeded quota"
    limits["pods"] = 0.1
    with pytest.raises(StepError, match=r"Job tuning-\S+-00000000: FailedCreate \(pods is forbidden: exceeded quota\)"):
        tune(cluster, step, experiment())
    assert "trials: 0 running, 1 waiting for a pod to start, 0 succeeded" in caplog.messages
    assert caplog.text.count("exceeded quota") == 1


def test_an_image_that_cannot_be_pulled_ends_the_wait(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator, limits: dict[str, float]
) -> None:
    katib.idle = True
    limits["image"] = 0.1
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    container = {"name": "s", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
    when(
        lambda: emulator.objects("Pod"),
        lambda: emulator.patch(
            "Pod",
            next(iter(emulator.objects("Pod"))),
            {"status": {"phase": "Pending", "containerStatuses": [container]}},
        ),
    )
    with pytest.raises(StepError, match=r"image of Katib experiment \S+ cannot be pulled .*\(no such image\)"):
        tune(cluster, step, experiment())


@pytest.mark.slow
def test_permanent_errors_of_the_suggestions_end_the_wait(
    cluster: Cluster, step: Step, katib: Katib, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The experiment itself stays as it was created."""
    katib.suggestion_error = "rpc error: code = Internal desc = no such setting"
    monkeypatch.setattr(tuning_watch, "SUGGESTION_LIMIT", 2.0)  # events have whole seconds
    message = (
        r"Katib cannot suggest a trial of experiment tuning-\S+; Suggestion tuning-\S+: ReconcileError \(rpc error"
    )
    with pytest.raises(StepError, match=message):
        tune(cluster, step, experiment())
    assert caplog.text.count("no such setting") == 1


def test_transient_errors_of_the_suggestions_do_not_end_the_wait(
    cluster: Cluster, step: Step, katib: Katib, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    katib.suggestion_error = "rpc error: connection refused"
    monkeypatch.setattr(tuning_watch, "SUGGESTION_LIMIT", 2.0)

    def fix() -> None:
        katib.suggestion_error = ""
        katib.handled.clear()

    when(lambda: "connection refused" in caplog.text, fix)
    assert tune(cluster, step, experiment()).best.objective == 4.0


def test_a_deletion_by_others_is_reported(cluster: Cluster, step: Step, katib: Katib, emulator: Emulator) -> None:
    katib.idle = True
    when(
        lambda: emulator.objects("Experiment"),
        lambda: emulator.remove("Experiment", next(iter(emulator.objects("Experiment")))),
    )
    with pytest.raises(StepError, match=r"Experiment \S+ was deleted while it ran"):
        tune(cluster, step, experiment())


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(("method", "path"), [("POST", "/experiments$"), ("GET", "/experiments/"), ("GET", "/trials$")])
def test_transient_failures_of_the_api_are_retried(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    assert tune(cluster, step, experiment()).best.objective == 4.0
    assert fault.seen == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/experiments$", 403, "not allowed to create Experiment"),
        ("POST", "/experiments$", 404, "install Katib"),
        ("GET", "/experiments/", 403, "not allowed to get Experiment"),
        ("GET", "/trials$", 403, "not allowed to list Trial"),
    ],
)
def test_permanent_failures_of_the_api_are_reported(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator, method: str, path: str, status: int, message: str
) -> None:
    emulator.fail(method, path, status, times=99)
    with pytest.raises(StepError, match=message):
        tune(cluster, step, experiment())


def test_concurrent_runs_do_not_mix(cluster: Cluster, katib: Katib, emulator: Emulator) -> None:
    foreign = manifest(Step("another-run"), PODS, experiment())
    emulator.put("Experiment", foreign)
    assert tune(cluster, Step("this-run"), experiment()).best
    assert list(emulator.objects("Experiment")) == [foreign["metadata"]["name"]]
    emulator.remove("Experiment", foreign["metadata"]["name"])


def test_the_attempt_after_an_eviction_adopts_the_running_experiment(
    cluster: Cluster, of_workflow: Step, katib: Katib, emulator: Emulator
) -> None:
    katib.idle = True

    def evict(_: Cluster, name: str, *__: Any) -> None:
        while not conditions.is_true(emulator.objects("Experiment")[name], "Running"):
            time.sleep(0.01)
        emulator.patch("Pod", of_workflow.pod_name, EVICTED)
        raise SystemExit(143)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "_wait", evict)
        with pytest.raises(SystemExit):
            tune(cluster, of_workflow, experiment())
    (before,) = emulator.objects("Experiment").values()
    emulator.remove("Pod", of_workflow.pod_name)
    katib.idle = False
    katib.handled.clear()
    retried = Step(of_workflow.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    assert tune(cluster, retried, experiment()).best.objective == 4.0
    assert katib.handled == {before["metadata"]["uid"]}
    emulator.remove("Workflow", "run-1")


def test_the_experiment_is_left_to_the_next_attempt_if_the_api_server_stays_unreachable(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator
) -> None:
    katib.idle = True
    impatient = replace(cluster, patience=0.5)
    when(lambda: katib.handled, lambda: emulator.fail("GET", "/experiments/", 0, times=99))
    with pytest.raises(TransientError, match="does not answer"):
        tune(impatient, step, experiment())
    (name,) = emulator.objects("Experiment")
    emulator.remove("Experiment", name)


def test_an_experiment_that_ended_without_a_best_trial_is_not_adopted(
    cluster: Cluster, step: Step, katib: Katib, emulator: Emulator
) -> None:
    """Katib calls it a success where failures have no limit."""
    ended = {"conditions": [{"type": "Succeeded", "status": "True"}]}
    emulator.put("Experiment", {**with_digest(manifest(step, PODS, experiment())), "status": ended})
    assert tune(cluster, step, experiment()).best.objective == 4.0


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


def test_the_command_writes_the_trials_and_the_best_hyperparameters(
    invoke: Invoke, katib: Katib, options: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    outcome = invoke(*options)
    assert outcome.code == 0, outcome.stderr
    assert "best val_loss 4" in caplog.text
    assert (tmp_path / "trials.csv").read_text().count("succeeded") == 2


def test_the_command_reports_what_failed(invoke: Invoke, emulator: Emulator, katib: Katib, options: list[str]) -> None:
    katib.losses = lambda chosen: None
    assert_refused(invoke(*options), "error: dataset 0 is broken; fix it", code=1)


def test_the_dry_run_prints_the_manifest(invoke: Invoke, emulator: Emulator, options: list[str]) -> None:
    outcome = invoke(*options, "--dry-run")
    assert outcome.code == 0
    assert outcome.stdout.startswith("apiVersion: kubeflow.org/v1beta1\nkind: Experiment\n")
    assert emulator.requests() == []


@pytest.mark.slow
def test_a_stopped_command_leaves_nothing(emulator: Emulator, katib: Katib, options: list[str]) -> None:
    katib.idle = True
    stop_when(lambda: katib.handled, options)
