import asyncio
import os
import signal
import time
from typing import Any

import pytest

from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.serving import Hosting
from tests.backends.kubernetes.deployments import (
    CRASHING,
    KNATIVE,
    PODS,
    awaited,
    deploy,
    model_of,
    of_others,
    service,
    stored,
    when,
    writes,
)
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import Emulator

pytestmark = pytest.mark.slow  # many of these tests start processes or wait


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_an_update_with_wrong_scores_is_rolled_back(
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


def test_a_new_service_with_wrong_scores_is_deleted(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
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


def test_a_service_that_never_answers_is_deleted(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.url = "http://127.0.0.1:9"
    with pytest.raises(StepError, match=r"eclss to answer: .*no answer to the smoke request.* deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_the_error_quotes_the_log_of_a_pod_that_does_not_get_ready(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.failing["one"] = CRASHING
    for pod in ("eclss-predictor-1", "eclss-transformer-1"):
        emulator.log(pod).text = "Traceback\nerror: s3://models/one: no model bundle\n"
    message = (
        r"waited 1\.5 s for InferenceService eclss to be ready: "
        r"Ready is False \(MinimumReplicasUnavailable no pod is ready\); .*CrashLoopBackOff.*"
        r"error: s3://models/one: no model bundle; raise --ready-timeout; InferenceService eclss was deleted again"
    )
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one", ready_timeout=1.5))
    assert emulator.objects("InferenceService") == {}


@pytest.mark.parametrize(
    "status",
    [
        CRASHING | {"restartCount": 3},
        CRASHING | {"restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName"}}},
        CRASHING | {"restartCount": 0, "state": {"waiting": {"reason": "CreateContainerConfigError"}}},
    ],
)
def test_a_pod_that_fails_permanently_ends_the_wait(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, status: dict[str, Any]
) -> None:
    kserve.failing["one"] = status
    reason = status["state"]["waiting"]["reason"]
    with pytest.raises(StepError, match=f"InferenceService eclss: container kserve-container of pod .*{reason}"):
        deploy(cluster, step, service("one", ready_timeout=600))


@pytest.mark.parametrize(
    ("hosting", "obstacle"),
    [(Hosting(), "pod eclss-predictor-1 has the previous spec"), (KNATIVE, "revision eclss-predictor-00002 is not")],
)
def test_an_update_that_does_not_get_ready_is_rolled_back(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting, obstacle: str
) -> None:
    """The pods before keep all conditions true."""
    deploy(cluster, step, service("one", hosting))
    kserve.failing["two"] = CRASHING
    with pytest.raises(StepError, match=rf"{obstacle}.*; .* was rolled back"):
        deploy(cluster, step, service("two", hosting, ready_timeout=1.5))
    assert model_of(emulator) == "one"


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_a_rollback_ends_when_the_previous_model_serves(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(cluster, step, service("one", hosting))
    kserve.scores["two"] = 2.0
    answer = kserve.answer

    def sleepy(host: str) -> dict[str, Any]:
        kserve.idle = True
        when(awaited(emulator, "one"), lambda: setattr(kserve, "idle", False))
        return answer(host)

    monkeypatch.setattr(kserve, "answer", sleepy)
    with pytest.raises(StepError, match="was rolled back and serves the previous model"):
        deploy(cluster, step, service("two", hosting))
    assert kserve.served == "one"


def test_a_failed_rollback_is_reported(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    kserve.failing["two"] = CRASHING
    when(awaited(emulator, "two"), lambda: emulator.fail("PUT", "/inferenceservices/", 403, times=99))
    with pytest.raises(StepError, match=r"waited .*could not be put back \(not allowed to update"):
        deploy(cluster, step, service("two", ready_timeout=2))


def test_an_inactive_controller_leads_to_a_timeout(
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
def test_refusals_name_the_fix(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, method: str, status: int, message: str
) -> None:
    emulator.fail(method, "/inferenceservices", status, times=99)
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_a_new_service_is_left_to_the_next_attempt_if_the_api_server_stays_unreachable(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    emulator.fail("GET", "/pods", 500, times=99)
    message = r"cannot list pods .*injected failure.* goes on untested: the next attempt of this step tests it"
    with pytest.raises(TransientError, match=message):
        deploy(cluster, step, service("one"))
    emulator.api.faults.clear()
    assert deploy(cluster, step, service("one")).revision == "one"
    assert "DELETE" not in writes(emulator)


def test_an_untested_update_is_undone_although_the_api_server_was_unreachable(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    emulator.fail("GET", "/pods", 500, times=99)
    with pytest.raises(TransientError, match=r"cannot list pods .* has its previous spec again"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "one"


@pytest.mark.parametrize("models", [("one",), ("one", "two")])
def test_a_transformer_that_does_not_start_fails_even_if_kserve_reports_ready(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, models: tuple[str, ...]
) -> None:
    *before, last = models
    for model in before:
        deploy(cluster, step, service(model))
    kserve.failing[last], kserve.failing_components = CRASHING, ("transformer",)
    with pytest.raises(StepError, match=r"pod eclss-transformer-\d is not ready"):
        deploy(cluster, step, service(last, ready_timeout=1.5))


def test_a_deletion_that_kserve_would_block_succeeds(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    """Its webhook refuses the removal of its own finalizer while annotation and status name the mode differently."""
    kserve.failing["one"] = CRASHING
    with pytest.raises(StepError, match="was deleted again"):
        deploy(cluster, step, service("one", Hosting(deployment_mode="RawDeployment"), ready_timeout=0.5))
    assert emulator.objects("InferenceService") == {}


def test_a_mode_that_kserve_does_not_know_is_reported(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KServe, "mode", lambda *_: "ModelMesh")
    with pytest.raises(StepError, match=r"asked for RawDeployment, KServe runs it as ModelMesh; .* deleted again"):
        deploy(cluster, step, service("one"))
    assert emulator.objects("InferenceService") == {}


def test_permanent_conflicts_end_the_deployment(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    emulator.fail("PUT", "/inferenceservices/", 409, times=99)
    with pytest.raises(StepError, match=r"changes faster than it can be updated; deploy again later$"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "one"


@pytest.mark.parametrize(
    ("writer", "left", "message"),
    [("this", [], "was deleted again"), ("another", ["eclss"], "was not changed by this step")],
)
def test_a_creation_with_a_lost_answer_is_not_confused_with_that_of_another_run(
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


def test_a_change_by_others_during_the_test_is_not_undone(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    kserve.scores["one"] = 2.0
    theirs = manifest(Step("another-run"), PODS, service("three"))
    changes = {"metadata": {"annotations": theirs["metadata"]["annotations"]}, "spec": theirs["spec"]}
    answer = kserve.answer

    def overtaken(host: str) -> dict[str, Any]:
        emulator.patch("InferenceService", "eclss", changes)
        return answer(host) | {"model_version": "one"}

    monkeypatch.setattr(kserve, "answer", overtaken)
    with pytest.raises(StepError, match=r"row 0 .*nothing was put back: .* no longer what this step made of it"):
        deploy(cluster, step, service("one"))
    assert model_of(emulator) == "three"


def test_a_deletion_by_others_is_reported(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    kserve.idle = True
    when(awaited(emulator, "one"), lambda: emulator.remove("InferenceService", "eclss"))
    with pytest.raises(StepError, match=r"eclss was deleted by another user or program; deploy again$"):
        deploy(cluster, step, service("one"))


def test_a_change_by_others_is_not_undone(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    kserve.idle = True
    theirs = manifest(Step("another-run"), PODS, service("three"))
    changes = {"metadata": {"annotations": theirs["metadata"]["annotations"]}, "spec": theirs["spec"]}
    when(awaited(emulator, "two"), lambda: emulator.patch("InferenceService", "eclss", changes))
    with pytest.raises(StepError, match=r"eclss was changed by another user or program; deploy again$"):
        deploy(cluster, step, service("two"))
    assert model_of(emulator) == "three"


@pytest.mark.parametrize("hosting", [Hosting(), KNATIVE])
def test_a_stopped_step_deletes_the_service_it_created(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, sigterm: None, hosting: Hosting
) -> None:
    kserve.idle = True
    when(awaited(emulator, "one"), lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        deploy(cluster, step, service("one", hosting))
    assert emulator.objects("InferenceService") == {}


def test_a_stop_during_the_creation_leaves_nothing(
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


def test_a_terminating_service_is_awaited_and_recreated(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    uid = stored(emulator)["metadata"]["uid"]
    emulator.patch("InferenceService", "eclss", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert deploy(cluster, step, service("two")).revision == "two"
    assert stored(emulator)["metadata"]["uid"] != uid


def test_a_service_of_others_is_rolled_back_to_its_previous_state(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    theirs = of_others(step)
    emulator.put("InferenceService", theirs)
    while "status" not in stored(emulator):
        pass
    kserve.scores["two"] = 2.0
    with pytest.raises(StepError, match=r"was rolled back and serves the previous model"):
        deploy(cluster, step, service("two", Hosting(take_over=True)))
    assert stored(emulator)["spec"] == theirs["spec"]
    assert stored(emulator)["metadata"]["annotations"] == theirs["metadata"]["annotations"]
    assert not stored(emulator)["metadata"]["labels"]
