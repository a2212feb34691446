from functools import partial

import pytest

from container_component_src.backends.kubernetes.serving_events import Watch
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from tests.backends.kubernetes import kserve_objects
from tests.backends.kubernetes.deployments import KNATIVE, awaited, deploy, service, when
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import Emulator
from tests.cluster.warning_events import event_of


def test_a_refusal_by_kubernetes_ends_the_wait(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in an event of the service, and nowhere in its status."""
    monkeypatch.setattr(kserve_objects, "CPU_LIMIT", "500m")
    message = r"cannot start: InternalError \(.*must be less than or equal to cpu limit of 500m\).* deleted again"
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one", ready_timeout=600))
    assert emulator.objects("InferenceService") == {}


def test_a_cluster_without_knative_ends_the_wait(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    kserve.knative = False
    message = r"ServerlessModeRejected \(.*Knative Services are not available\); give --deployment-mode Standard"
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("one", KNATIVE, ready_timeout=600))
    assert emulator.objects("InferenceService") == {}


def test_the_newest_event_is_reported_but_none_of_the_previous_spec(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    emulator.put("Event", event_of("InferenceService", "eclss", "InternalError", "x is invalid: long ago"))
    emulator.put("Event", event_of("Pod", "eclss-predictor-0", "Evicted", "long ago"))
    deploy(cluster, step, service("one"))
    kserve.idle = True
    for name, kind in (("eclss-predictor-7", "ReplicaSet"), ("eclss-two", "Pod")):
        refused = event_of(kind, name, "FailedCreate", "exceeded quota")
        when(awaited(emulator, "two"), partial(emulator.put, "Event", refused))
    message = (
        r"has the previous spec; ReplicaSet eclss-predictor-7: FailedCreate \(exceeded quota\); .* was rolled back"
    )
    with pytest.raises(StepError, match=message):
        deploy(cluster, step, service("two", ready_timeout=1))


def test_transient_failures_do_not_end_the_wait(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    """KServe calls each an internal error that it tries again after."""
    kserve.idle = True

    def fail() -> None:
        conflict = "the object has been modified; please apply your changes to the latest version"
        emulator.put("Event", event_of("InferenceService", "eclss", "InternalError", conflict))
        emulator.put("Event", event_of("InferenceService", "eclss", "UpdateFailed", conflict))
        kserve.idle = False

    when(awaited(emulator, "one"), fail)
    assert deploy(cluster, step, service("one")).revision == "one"
    assert "the object has been modified" not in caplog.text


def test_the_deployment_works_without_the_right_to_read_events(
    cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fail("GET", "/events", 403, times=99)
    assert deploy(cluster, step, service("one")).revision == "one"
    assert caplog.text.count("not allowed to list events") == 1


def test_a_repeated_event_is_logged_once(
    cluster: Cluster, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(cluster, "eclss")
    for number in range(2):
        again = event_of("ReplicaSet", "eclss-predictor-7", "FailedCreate", f"pod {number} is forbidden")
        emulator.put("Event", again)
        watch.warn(watch.events())
    assert [record.message for record in caplog.records] == [
        "ReplicaSet eclss-predictor-7: FailedCreate (pod 0 is forbidden)"
    ]
