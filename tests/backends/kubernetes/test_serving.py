import re
import threading
import time
from typing import Any, Literal

import pytest

from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.inference_services import MODE_ANNOTATION, TEST_ANNOTATION, remove
from container_component_src.cluster.step import Step
from container_component_src.errors import InputError, StepError
from container_component_src.serving.deployment.service import Deployment
from container_component_src.steps.serving import Hosting
from tests.backends.kubernetes.deployments import (
    CANARY,
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
from tests.backends.kubernetes.kserve_objects import admit, pod_of
from tests.cluster.emulator import NAMESPACE, Emulator


@pytest.mark.parametrize(
    "hosting", [Hosting(), Hosting(combined=True), Hosting(deployment_mode="RawDeployment"), KNATIVE]
)
def test_a_new_service_is_created_and_tested(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    deployment = deploy(cluster, step, service("one", hosting))
    assert deployment == Deployment(f"{kserve.url}/v1/models/eclss:predict", "one")
    assert "POST" in writes(emulator)
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
    assert writes(emulator) == ["POST", "PATCH"]
    assert len(kserve.requests) == 2
    assert "InferenceService eclss is unchanged and left alone" in caplog.messages


@pytest.mark.parametrize("hosting", [Hosting(), Hosting(deployment_mode="RawDeployment"), KNATIVE])
def test_an_update_is_tested_when_the_new_pods_are_ready(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, hosting: Hosting
) -> None:
    """All conditions stay true from the pods before, as long as the controller is idle."""
    deploy(cluster, step, service("one", hosting))
    kserve.idle = True
    when(awaited(emulator, "two"), lambda: setattr(kserve, "idle", False))
    assert deploy(cluster, step, service("two", hosting)).revision == "two"
    assert [method for method in writes(emulator) if method != "PATCH"] == ["POST", "PUT"]
    assert [model for _, model in kserve.requests] == ["one", "two"]


def test_terminating_pods_are_ignored(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    gone = {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}
    emulator.patch("Pod", "eclss-predictor-1", {"status": gone})
    leaving = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    emulator.patch("Pod", "eclss-transformer-1", leaving)
    parts = stored(emulator)["spec"]
    for part in parts:
        emulator.put("Pod", pod_of("eclss", part, f"eclss-{part}-replacement", parts[part], None))
    assert deploy(cluster, step, service("one")).revision == "one"


def test_an_update_keeps_labels_and_annotations_of_others(
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


@pytest.mark.parametrize("version", ["0.15", "0.16"])
@pytest.mark.parametrize("mode", ["Standard", "RawDeployment"])
def test_the_annotation_gets_kserves_name_of_the_mode(
    cluster: Cluster,
    emulator: Emulator,
    kserve: KServe,
    step: Step,
    mode: Literal["Standard", "RawDeployment"],
    version: str,
) -> None:
    """KServe refuses every update where it has another name than the status, that of its own finalizer too."""
    kserve.version, kserve.default_mode = version, "Standard"
    for model in ("one", "two"):
        deploy(cluster, step, service(model, Hosting(deployment_mode=mode)))
        found = stored(emulator)
        assert found["status"]["deploymentMode"] == {"0.15": "RawDeployment", "0.16": "Standard"}[version]
        assert found["metadata"]["annotations"][MODE_ANNOTATION] == found["status"]["deploymentMode"]
    assert len(kserve.pods("eclss")) == 2
    assert remove(cluster, "eclss")
    assert emulator.objects("InferenceService") == {}


@pytest.mark.parametrize("knative", [True, False])
def test_the_other_name_of_a_mode_is_tried_if_kserve_does_not_know_the_first(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, knative: bool
) -> None:
    """KServe 0.15 takes the default of the cluster for the names that 0.16 has."""
    kserve.version, kserve.default_mode, kserve.knative = "0.15", "Knative", knative
    assert deploy(cluster, step, service("one")).revision == "one"
    assert stored(emulator)["status"]["deploymentMode"] == "RawDeployment"
    assert stored(emulator)["metadata"]["annotations"][MODE_ANNOTATION] == "RawDeployment"


def test_a_new_service_is_marked_as_untested_until_it_has_passed(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks, answer = [], kserve.answer

    def noted(host: str) -> dict[str, Any]:
        marks.append((stored(emulator)["metadata"]["annotations"][TEST_ANNOTATION], kserve.pods("eclss")))
        return answer(host)

    monkeypatch.setattr(kserve, "answer", noted)
    deploy(cluster, step, service("one"))
    deploy(cluster, step, service("two"))
    deploy(cluster, step, service("two"))
    assert [mark for mark, _ in marks] == ["pending", "passed", "passed"]
    assert marks[1][1] == marks[2][1] == kserve.pods("eclss")  # the mark starts no new pods
    assert len({pod for _, pods in marks for pod in pods}) == 4


def test_the_next_attempt_tests_the_service_of_a_killed_attempt(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    emulator.put("InferenceService", manifest(step, PODS, service("one")))
    assert deploy(cluster, step, service("one")).revision == "one"
    assert stored(emulator)["metadata"]["annotations"][TEST_ANNOTATION] == "passed"


@pytest.mark.parametrize("model", ["one", "two"])
def test_the_next_attempt_deletes_the_service_of_a_killed_attempt_if_the_test_fails(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, model: str
) -> None:
    emulator.put("InferenceService", manifest(step, PODS, service("one")))
    kserve.scores[model] = 2.0
    with pytest.raises(StepError, match="was deleted again"):
        deploy(cluster, step, service(model))
    assert emulator.objects("InferenceService") == {}


def test_the_deployment_waits_for_all_replicas(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    """KServe calls a service ready with the first of them."""
    deploy(cluster, step, service("one", Hosting(min_replicas=2, max_replicas=2)))
    assert len(kserve.pods("eclss", "predictor")) == len(kserve.pods("eclss", "transformer")) == 2


def test_a_change_of_the_mode_is_refused(cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step) -> None:
    deploy(cluster, step, service("one"))
    with pytest.raises(InputError, match=r"runs in mode Standard, .* delete isvc eclss"):
        deploy(cluster, step, service("two", KNATIVE))
    assert model_of(emulator) == "one"


def test_a_service_of_others_is_replaced_only_with_take_over(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    emulator.put("InferenceService", of_others(step))
    with pytest.raises(InputError, match=r"eclss is not of this project, .*--service-name, or .* --take-over"):
        deploy(cluster, step, service("one"))
    assert stored(emulator)["metadata"].get("labels") is None
    assert deploy(cluster, step, service("one", Hosting(take_over=True))).revision == "one"
    assert deploy(cluster, step, service("two")).revision == "two"


def test_a_canary_is_tested_at_its_own_address(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    hosting = CANARY.model_copy(update={"gateway_url": kserve.url})
    deploy(cluster, step, service("one", hosting))
    assert kserve.requests == [(f"latest-eclss-predictor.{NAMESPACE}.svc.cluster.local", "one")]


def test_the_smoke_request_is_repeated_while_another_model_answers(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint of the pods before may be known for a moment longer than they live."""
    answers = iter(["old", "old"])
    answer = kserve.answer

    def late(host: str) -> dict[str, Any]:
        return {**answer(host), "model_version": next(answers, "one")}

    monkeypatch.setattr(kserve, "answer", late)
    assert deploy(cluster, step, service("one")).revision == "one"
    assert len(kserve.requests) == 3


def test_an_update_replaces_a_service_whose_pods_fail_permanently(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.failing["one"] = CRASHING | {"restartCount": 9}
    emulator.put("InferenceService", manifest(step, PODS, service("one")))
    when(lambda: "status" in stored(emulator), lambda: setattr(kserve, "idle", True))
    when(awaited(emulator, "two"), lambda: setattr(kserve, "idle", False))
    while not kserve.idle:
        time.sleep(0.01)
    assert deploy(cluster, step, service("two")).revision == "two"


@pytest.mark.parametrize("status", [429, 500, 0])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/inferenceservices"), ("GET", "/inferenceservices/"), ("GET", "/pods")]
)
def test_transient_failures_are_retried(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, method: str, path: str, status: int
) -> None:
    fault = emulator.fail(method, path, status, times=2)
    assert deploy(cluster, step, service("one")).revision == "one"
    assert fault.seen == 2


def test_a_conflict_is_retried_with_the_current_object(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    deploy(cluster, step, service("one"))
    fault = emulator.fail("PUT", "/inferenceservices/", 409, times=3)
    assert deploy(cluster, step, service("two")).revision == "two"
    assert fault.seen == 3


@pytest.mark.parametrize("models", [("one", "one"), ("one", "two")])
def test_concurrent_runs_do_not_mix(
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
    assert admit(None, expected) == ""
    assert stored(emulator)["spec"] == expected["spec"]
    for outcome, model in zip((outcomes["run-0"], outcomes["run-1"]), models, strict=True):
        assert outcome == model or (model != last and re.search("another user or program|no longer", outcome))
