import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from container_component_src.backends.kubernetes import serving, serving_status
from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.pod_settings import PodSettings
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.serving.service import Deployment, Hosting, Service, SmokeRequest
from tests.backends.kubernetes.kserve_controller import MODEL, KServe, playing
from tests.cluster.emulator import NAMESPACE, Emulator

PODS = PodSettings(namespace=NAMESPACE, image="registry.example.org/eclss:1.0")
KNATIVE = Hosting(deployment_mode="Knative")
CANARY = Hosting(deployment_mode="Knative", canary_traffic_percent=10, combined=True)
CRASHING = {
    "ready": False,
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}},
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_status, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(serving, "SETTLING_TIME", 0.3)
    monkeypatch.setattr(serving, "_PAUSE", 0.01)


@pytest.fixture
def kserve(emulator: Emulator) -> Iterator[KServe]:
    with playing(KServe(emulator)) as controller:
        yield controller


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM does what it does to the command line."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, previous)


def service(model: str, hosting: Hosting | None = None, ready_timeout: float = 10.0) -> Service:
    request = SmokeRequest(({"a": 1.0},), (1.0,))
    return Service("eclss", f"s3://models/{model}", request, model, hosting or Hosting(), ready_timeout)


def deploy(cluster: Cluster, step: Step, wanted: Service) -> Deployment:
    return serving.deploy(cluster, step, PODS, wanted)


def stored(emulator: Emulator) -> dict[str, Any]:
    return emulator.objects("InferenceService")["eclss"]


def model_of(emulator: Emulator) -> str:
    model: str = stored(emulator)["spec"]["predictor"]["annotations"][MODEL]
    return model


def when(condition: Callable[[], Any], act: Callable[[], Any]) -> None:
    """Act from outside as soon as a condition holds."""

    def wait() -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def awaited(emulator: Emulator, model: str) -> Callable[[], bool]:
    """Whether a service of a model is there, and a deployment has looked at its pods several times since."""
    seen: list[int] = []

    def condition() -> bool:
        if "eclss" in emulator.objects("InferenceService") and model_of(emulator) == model:
            seen.append(sum(path.endswith("/pods") for _, path in emulator.requests()))
        return bool(seen) and seen[-1] >= seen[0] + 3

    return condition


def writes(emulator: Emulator) -> list[str]:
    return [method for method, path in emulator.requests() if method != "GET" and "inferenceservices" in path]


@pytest.mark.parametrize(
    "hosting", [Hosting(), Hosting(combined=True), Hosting(deployment_mode="RawDeployment"), KNATIVE]
)
def test_a_new_service_is_created_and_tested(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    deployment = deploy(cluster, step, service("one", hosting))
    assert deployment == Deployment(f"{kserve.url}/v1/models/eclss:predict", "one")
    assert writes(emulator) == ["POST"]
    assert kserve.requests == [(kserve.url.removeprefix("http://"), "one")]


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_an_unchanged_service_is_left_alone_but_tested(
    cluster: Cluster,
    emulator: Emulator,
    kserve: KServe,
    step: Step,
    hosting: Hosting,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deploy(cluster, step, service("one", hosting))
    with caplog.at_level("INFO"):
        assert deploy(cluster, Step("another-run"), service("one", hosting)).revision == "one"
    assert writes(emulator) == ["POST"]
    assert len(kserve.requests) == 2
    assert "InferenceService eclss is unchanged and left alone" in caplog.messages


@pytest.mark.parametrize("hosting", [Hosting(), Hosting(deployment_mode="RawDeployment"), KNATIVE])
def test_an_update_is_tested_when_the_new_pods_are_there(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    """All conditions stay true from the pods before, as long as the controller is idle."""
    deploy(cluster, step, service("one", hosting))
    kserve.idle = True
    when(awaited(emulator, "two"), lambda: setattr(kserve, "idle", False))
    assert deploy(cluster, step, service("two", hosting)).revision == "two"
    assert writes(emulator) == ["POST", "PUT"]
    assert [model for _, model in kserve.requests] == ["one", "two"]


def test_an_update_keeps_what_others_put_there(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    theirs = {"finalizers": ["inferenceservice.finalizers"], "annotations": {"team": "flight"}, "labels": {"a": "b"}}
    emulator.patch("InferenceService", "eclss", {"metadata": theirs})
    deploy(cluster, step, service("two"))
    metadata = stored(emulator)["metadata"]
    assert metadata["finalizers"] == theirs["finalizers"]
    assert metadata["annotations"]["team"] == "flight"
    assert metadata["labels"]["a"] == "b"


def test_an_update_names_the_mode_as_kserve_does(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    """KServe 0.16 refuses an update whose annotation has another name of the same mode than its status."""
    deploy(cluster, step, service("one", Hosting(deployment_mode="RawDeployment")))
    deploy(cluster, step, service("two", Hosting(deployment_mode="RawDeployment")))
    found = stored(emulator)
    assert found["status"]["deploymentMode"] == "Standard"
    assert found["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"


def test_another_mode_is_refused(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    with pytest.raises(InputError, match=r"runs in mode Standard, .* delete isvc eclss"):
        deploy(cluster, step, service("two", KNATIVE))
    assert model_of(emulator) == "one"


def test_a_mode_that_kserve_does_not_know_is_found_out(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.default_mode = "Serverless"  # KServe 0.15 takes its default for names that are newer
    with pytest.raises(StepError, match=r"KServe runs it as Serverless; .*eclss was deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_a_canary_is_tested_at_its_own_address(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    hosting = CANARY.model_copy(update={"gateway_url": kserve.url})
    deploy(cluster, step, service("one", hosting))
    assert kserve.requests == [(f"latest-eclss-predictor.{NAMESPACE}.svc.cluster.local", "one")]


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_wrong_scores_roll_an_update_back(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    deploy(cluster, step, service("one", hosting))
    before = stored(emulator)["spec"]
    kserve.scores["two"] = 2.0
    with pytest.raises(StepError, match=r"row 0 .* scores 2\.0.*; InferenceService eclss was rolled back and serves"):
        deploy(cluster, step, service("two", hosting))
    assert stored(emulator)["spec"] == before
    assert kserve.served == "one"
    kserve.scores.clear()
    assert deploy(cluster, step, service("two", hosting)).revision == "two"  # the digest was rolled back too


def test_wrong_scores_delete_a_new_service(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    kserve.scores["one"] = 2.0
    with pytest.raises(StepError, match=r"row 0 .*; InferenceService eclss was deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_a_failed_test_of_an_unchanged_service_changes_nothing(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    kserve.scores["one"] = 2.0
    with pytest.raises(StepError, match=r"row 0 .* was not changed by this step"):
        deploy(cluster, step, service("one"))
    assert model_of(emulator) == "one"


def test_an_answer_of_another_model_is_asked_for_again(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    """An endpoint of the pods before may be known for a moment longer than they live."""
    answers = iter(["old", "old"])
    answer = kserve.answer

    def late(host: str) -> dict[str, Any]:
        return {**answer(host), "model_version": next(answers, "one")}

    kserve.answer = late  # type: ignore[method-assign]
    assert deploy(cluster, step, service("one")).revision == "one"
    assert len(kserve.requests) == 3


def test_a_service_that_never_answers_is_deleted(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.url = "http://127.0.0.1:9"
    with pytest.raises(StepError, match=r"eclss to answer: .*no answer to the smoke request.* deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_a_pod_that_does_not_get_ready_is_quoted(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.failing["one"] = CRASHING
    for pod in ("eclss-predictor-1", "eclss-transformer-1"):
        emulator.log(pod).text = "Traceback\nerror: s3://models/one: no model bundle\n"
    message = (
        r"waited 0\.5 s for InferenceService eclss to be ready; raise --ready-timeout: "
        r"Ready is False \(MinimumReplicasUnavailable no pod is ready\); .*CrashLoopBackOff.*"
        r"error: s3://models/one: no model bundle; InferenceService eclss was deleted again"
    )
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one", ready_timeout=0.5))
    assert emulator.objects("InferenceService") == {}


@pytest.mark.parametrize(
    "status",
    [
        CRASHING | {"restartCount": 3},
        CRASHING | {"restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName"}}},
    ],
)
def test_a_pod_that_fails_for_good_ends_the_wait(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, status: dict[str, Any]
) -> None:
    kserve.failing["one"] = status
    reason = status["state"]["waiting"]["reason"]
    with pytest.raises(StepError, match=f"InferenceService eclss: container kserve-container of pod .*{reason}"):
        deploy(cluster, step, service("one", ready_timeout=600))


@pytest.mark.parametrize(
    ("hosting", "obstacle"),
    [(Hosting(), "pod eclss-predictor-1 is of the spec before"), (KNATIVE, "revision eclss-predictor-00002 is not")],
)
def test_an_update_that_does_not_get_ready_is_rolled_back(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting, obstacle: str
) -> None:
    """The pods before keep all conditions true."""
    deploy(cluster, step, service("one", hosting))
    kserve.failing["two"] = CRASHING
    with pytest.raises(StepError, match=rf"{obstacle}.*; .* was rolled back"):
        deploy(cluster, step, service("two", hosting, ready_timeout=0.5))
    assert model_of(emulator) == "one"


def test_an_update_mends_a_service_whose_pods_fail_for_good(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.failing["one"] = CRASHING | {"restartCount": 9}
    emulator.put("InferenceService", manifest(step, PODS, service("one")))
    when(lambda: "status" in stored(emulator), lambda: setattr(kserve, "idle", True))
    when(awaited(emulator, "two"), lambda: setattr(kserve, "idle", False))
    while not kserve.idle:
        time.sleep(0.01)
    assert deploy(cluster, step, service("two")).revision == "two"


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_a_rollback_has_ended_when_the_previous_model_serves(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    deploy(cluster, step, service("one", hosting))
    kserve.scores["two"] = 2.0
    answer = kserve.answer

    def sleepy(host: str) -> dict[str, Any]:
        kserve.idle = True
        when(awaited(emulator, "one"), lambda: setattr(kserve, "idle", False))
        return answer(host)

    kserve.answer = sleepy  # type: ignore[method-assign]
    with pytest.raises(StepError, match="was rolled back and serves the previous model"):
        deploy(cluster, step, service("two", hosting))
    assert kserve.served == "one"


def test_a_rollback_that_fails_too_is_told(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    kserve.failing["two"] = CRASHING
    when(awaited(emulator, "two"), lambda: emulator.fail("PUT", "/inferenceservices/", 403, times=99))
    with pytest.raises(StepError, match=r"waited .*could not be put back \(not allowed to update"):
        deploy(cluster, step, service("two", ready_timeout=2))


def test_a_controller_that_sleeps_is_a_time_out(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.idle = True
    with pytest.raises(StepError, match=r"Ready is Unknown; .*the predictor has no pods yet.* deleted again"):
        deploy(cluster, step, service("one", ready_timeout=0.1))


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("POST", 403, r"not allowed to create InferenceService eclss .*deploy/rbac\.yaml$"),
        ("POST", 404, "install KServe$"),
        ("GET", 403, r"not allowed to get InferenceService eclss .*deploy/rbac\.yaml$"),
    ],
)
def test_refusals_name_the_mend(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, method: str, status: int, message: str
) -> None:
    emulator.fail(method, "/inferenceservices", status, times=99)
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/inferenceservices"), ("GET", "/inferenceservices/"), ("GET", "/pods")]
)
def test_passing_failures_are_tried_again(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    assert deploy(cluster, step, service("one")).revision == "one"
    assert fault.seen == 2


def test_lasting_failures_leave_nothing(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    emulator.fail("GET", "/pods", 500, times=99)
    with pytest.raises(StepError, match=r"cannot list pods .*injected failure.* deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_a_conflict_is_tried_again_with_what_is_there_now(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    fault = emulator.fail("PUT", "/inferenceservices/", 409, times=3)
    assert deploy(cluster, step, service("two")).revision == "two"
    assert fault.seen == 3


def test_conflicts_end(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    emulator.fail("PUT", "/inferenceservices/", 409, times=99)
    with pytest.raises(StepError, match=r"changes faster than it can be updated; deploy again later$"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "one"


@pytest.mark.parametrize(
    ("writer", "left", "message"),
    [("this", [], "was deleted again"), ("another", ["eclss"], "was not changed by this step")],
)
def test_a_creation_whose_answer_was_lost_is_told_from_that_of_another_run(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, writer: str, left: list[str], message: str
) -> None:
    """The repeated request finds the name taken, by itself or by a run that deploys the same."""
    kserve.scores["one"] = 2.0
    run = step if writer == "this" else Step("another-run")
    emulator.put("InferenceService", manifest(run, PODS, service("one")))
    emulator.fail("GET", "/inferenceservices/eclss", 404)
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one"))
    assert list(emulator.objects("InferenceService")) == left


def test_a_change_by_somebody_else_during_the_test_is_not_undone(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.scores["one"] = 2.0
    theirs = manifest(Step("another-run"), PODS, service("three"))
    changes = {"metadata": {"annotations": theirs["metadata"]["annotations"]}, "spec": theirs["spec"]}
    answer = kserve.answer

    def overtaken(host: str) -> dict[str, Any]:
        emulator.patch("InferenceService", "eclss", changes)
        return answer(host) | {"model_version": "one"}

    kserve.answer = overtaken  # type: ignore[method-assign]
    with pytest.raises(StepError, match=r"row 0 .*nothing was put back: .* no longer what this step made of it"):
        deploy(cluster, step, service("one"))
    assert model_of(emulator) == "three"


def test_deletion_from_outside_is_told(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    kserve.idle = True
    when(awaited(emulator, "one"), lambda: emulator.remove("InferenceService", "eclss"))
    with pytest.raises(StepError, match=r"eclss was deleted by somebody else meanwhile; deploy again$"):
        deploy(cluster, step, service("one"))


def test_a_change_by_somebody_else_is_not_undone(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    kserve.idle = True
    theirs = manifest(Step("another-run"), PODS, service("three"))
    changes = {"metadata": {"annotations": theirs["metadata"]["annotations"]}, "spec": theirs["spec"]}
    when(awaited(emulator, "two"), lambda: emulator.patch("InferenceService", "eclss", changes))
    with pytest.raises(StepError, match=r"eclss was changed by somebody else meanwhile; deploy again$"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "three"


@pytest.mark.parametrize("models", [("one", "one"), ("one", "two")])
def test_two_runs_at_once_do_not_mix(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, models: tuple[str, str]
) -> None:
    outcomes: dict[str, str] = {}

    def run(run_id: str, model: str) -> None:
        try:
            outcomes[run_id] = deploy(cluster, Step(run_id), service(model)).revision
        except StepError as error:
            outcomes[run_id] = str(error)

    threads = [threading.Thread(target=run, args=(f"run-{i}", model)) for i, model in enumerate(models)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = model_of(emulator)
    expected = manifest(step, PODS, service(last))
    assert stored(emulator)["spec"] == expected["spec"]
    for outcome, model in zip((outcomes["run-0"], outcomes["run-1"]), models, strict=True):
        assert outcome == model or (model != last and re.search("somebody else|no longer", outcome))


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_a_step_that_is_told_to_stop_deletes_what_it_created(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, sigterm: None, hosting: Hosting
) -> None:
    kserve.idle = True
    when(awaited(emulator, "one"), lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        deploy(cluster, step, service("one", hosting))
    assert emulator.objects("InferenceService") == {}


def test_a_stop_in_the_middle_of_the_creation_leaves_nothing(
    cluster: Cluster, emulator: Emulator, step: Step, sigterm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = type(emulator.api)._handle

    async def slow(api: Any, request: Any) -> Any:
        if str(request.method.value) == "POST":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.3)  # the object appears after those who do not wait for it have looked
        return await handle(api, request)

    monkeypatch.setattr(type(emulator.api), "_handle", slow)
    with pytest.raises(SystemExit):
        deploy(cluster, step, service("one"))
    assert ("POST", "/apis/serving.kserve.io/v1beta1/namespaces/telemetry/inferenceservices") in emulator.requests()
    time.sleep(0.4)
    assert emulator.objects("InferenceService") == {}


def test_a_service_in_deletion_is_not_updated(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    emulator.patch("InferenceService", "eclss", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    with pytest.raises(StepError, match=r"eclss is being deleted; deploy again when it is gone"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "one"


def test_a_service_of_others_is_rolled_back_to_what_it_was(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    theirs = manifest(step, PODS, service("theirs"))
    theirs["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Standard"}
    for part in theirs["spec"].values():
        del part["annotations"]["columbus-eclss-ad/manifest-sha256"]
    emulator.put("InferenceService", theirs)
    while "status" not in stored(emulator):
        pass
    kserve.scores["two"] = 2.0
    with pytest.raises(StepError, match=r"was rolled back and serves the previous model"):
        deploy(cluster, step, service("two"))
    assert stored(emulator)["spec"] == theirs["spec"]
    assert stored(emulator)["metadata"]["annotations"] == theirs["metadata"]["annotations"]
