from dataclasses import replace
from typing import Any

import pytest

from container_component_src.cluster import owned_objects
from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.kinds import EXPERIMENT
from container_component_src.cluster.owned_objects import owned_object, recreate
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from tests.cluster.emulator import NAMESPACE, Emulator


def experiment(step: Step, name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": EXPERIMENT.api_version,
        "kind": EXPERIMENT.name,
        "metadata": step.metadata(name, NAMESPACE),
        "spec": spec or {"maxTrialCount": 1},
    }


def leave_behind(cluster: Cluster, step: Step, manifest: dict[str, Any]) -> dict[str, Any]:
    """Create an object as a step that is killed before it can delete the object."""
    return owned_objects._create_or_adopt(cluster, step, EXPERIMENT, owned_objects.with_digest(manifest), never)


def never(found: dict[str, Any]) -> bool:
    return False


def test_object_is_deleted_at_the_end_of_the_block(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    with owned_object(cluster, step, EXPERIMENT, experiment(step), never) as created:
        assert created["metadata"]["uid"]
        (stored,) = emulator.objects("Experiment").values()
        assert stored["metadata"]["labels"]["pipeline/runid"] == step.run_id
        assert stored["metadata"]["ownerReferences"][0]["uid"] == step.pod_uid
    assert emulator.objects("Experiment") == {}


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_object_is_deleted_after_a_failure(
    cluster: Cluster, emulator: Emulator, step: Step, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), owned_object(cluster, step, EXPERIMENT, experiment(step), never):
        raise ending
    assert emulator.objects("Experiment") == {}


def test_second_attempt_adopts_the_running_object(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    created = leave_behind(cluster, step, experiment(step))
    with owned_object(cluster, retried, EXPERIMENT, experiment(retried), never) as adopted:
        assert adopted["metadata"]["uid"] == created["metadata"]["uid"]
        owners = [owner["uid"] for owner in emulator.objects("Experiment")["one"]["metadata"]["ownerReferences"]]
        assert owners == [step.pod_uid, retried.pod_uid]
    assert emulator.objects("Experiment") == {}


@pytest.mark.parametrize("reason", ["failed", "other arguments"])
def test_second_attempt_replaces_an_unusable_object(
    cluster: Cluster, emulator: Emulator, step: Step, reason: str
) -> None:
    created = leave_behind(cluster, step, experiment(step))
    again = experiment(step, maxTrialCount=2) if reason == "other arguments" else experiment(step)
    with owned_object(cluster, step, EXPERIMENT, again, lambda found: reason == "failed") as new:
        assert new["metadata"]["uid"] != created["metadata"]["uid"]


def test_recreated_object_has_the_same_manifest_and_owner(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    with owned_object(cluster, step, EXPERIMENT, experiment(step), never) as created:
        emulator.patch("Experiment", "one", {"status": {"conditions": []}})
        new = recreate(cluster, step, EXPERIMENT, created, never)
        assert "status" not in new
        assert new["metadata"]["uid"] != created["metadata"]["uid"]
        for key in ("labels", "annotations", "ownerReferences"):
            assert new["metadata"][key] == created["metadata"][key]
        assert new["spec"] == created["spec"]
    assert emulator.objects("Experiment") == {}


def test_object_of_another_run_is_kept(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    other = Step("another-run")
    leave_behind(cluster, other, experiment(other))
    with (
        pytest.raises(StepError, match="belongs to another run"),
        owned_object(cluster, step, EXPERIMENT, experiment(step), never),
    ):
        pass
    assert list(emulator.objects("Experiment")) == ["one"]


@pytest.mark.parametrize(("status", "message"), [(403, "not allowed to create Experiment one"), (404, "install Katib")])
def test_refused_creation_names_the_fix(
    cluster: Cluster, emulator: Emulator, step: Step, status: int, message: str
) -> None:
    emulator.fail("POST", "/experiments", status, times=9)
    with pytest.raises(StepError, match=message), owned_object(cluster, step, EXPERIMENT, experiment(step), never):
        pass


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_transient_failures_are_retried(cluster: Cluster, emulator: Emulator, step: Step, status: int) -> None:
    fault = emulator.fail("POST", "/experiments", status, times=2)
    with owned_object(cluster, step, EXPERIMENT, experiment(step), never):
        assert list(emulator.objects("Experiment")) == ["one"]
    assert fault.seen == 2


def test_lasting_failure_is_one_line(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    emulator.fail("POST", "/experiments", 500, times=99)
    impatient = replace(cluster, patience=0.5)
    with (
        pytest.raises(TransientError, match="injected failure"),
        owned_object(impatient, step, EXPERIMENT, experiment(step), never),
    ):
        pass


def test_running_object_is_kept_while_the_api_server_is_unavailable(
    cluster: Cluster, emulator: Emulator, step: Step
) -> None:
    impatient = replace(cluster, patience=0.5)
    with pytest.raises(TransientError), owned_object(impatient, step, EXPERIMENT, experiment(step), never):
        emulator.fail("GET", "/experiments", 0, times=99)
        impatient.get(EXPERIMENT, "one")
    assert list(emulator.objects("Experiment")) == ["one"]
