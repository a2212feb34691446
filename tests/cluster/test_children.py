from typing import Any

import pytest

from container_component_src.cluster import children
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.children import child
from container_component_src.cluster.kinds import EXPERIMENT, PYTORCH_JOB, TRIAL
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from tests.cluster.emulator import NAMESPACE, Emulator


def trial(step: Step, name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": TRIAL.api_version,
        "kind": TRIAL.name,
        "metadata": step.metadata(name, NAMESPACE),
        "spec": spec or {"x": 1},
    }


def leave_behind(cluster: Cluster, step: Step, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the first attempt of a step leaves that is killed: the object, which nobody deletes."""
    return children._create_or_adopt(cluster, step, TRIAL, children.with_digest(manifest), never)


def never(found: dict[str, Any]) -> bool:
    return False


def test_child_ends_with_the_block(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    with child(cluster, step, TRIAL, trial(step), never) as created:
        assert created["metadata"]["uid"]
        (stored,) = emulator.objects("Trial").values()
        assert stored["metadata"]["labels"]["pipeline/runid"] == step.run_id
        assert stored["metadata"]["ownerReferences"][0]["uid"] == step.pod_uid
    assert emulator.objects("Trial") == {}


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_child_ends_with_a_failure(
    cluster: Cluster, emulator: Emulator, step: Step, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), child(cluster, step, TRIAL, trial(step), never):
        raise ending
    assert emulator.objects("Trial") == {}


def test_second_attempt_adopts_the_running_child(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    created = leave_behind(cluster, step, trial(step))
    with child(cluster, retried, TRIAL, trial(retried), never) as adopted:
        assert adopted["metadata"]["uid"] == created["metadata"]["uid"]
        owners = [owner["uid"] for owner in emulator.objects("Trial")["one"]["metadata"]["ownerReferences"]]
        assert owners == [step.pod_uid, retried.pod_uid]
    assert emulator.objects("Trial") == {}


@pytest.mark.parametrize("reason", ["failed", "other arguments"])
def test_second_attempt_replaces_what_it_cannot_use(
    cluster: Cluster, emulator: Emulator, step: Step, reason: str
) -> None:
    created = leave_behind(cluster, step, trial(step))
    again = trial(step, x=2) if reason == "other arguments" else trial(step)
    with child(cluster, step, TRIAL, again, lambda found: reason == "failed") as new:
        assert new["metadata"]["uid"] != created["metadata"]["uid"]


def test_child_of_another_run_is_left_alone(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    other = Step("another-run")
    leave_behind(cluster, other, trial(other))
    with pytest.raises(StepError, match="belongs to another run"), child(cluster, step, TRIAL, trial(step), never):
        pass
    assert list(emulator.objects("Trial")) == ["one"]


@pytest.mark.parametrize(("status", "message"), [(403, "not allowed to create Trial one"), (404, "install Katib")])
def test_refusals_name_the_mend(cluster: Cluster, emulator: Emulator, step: Step, status: int, message: str) -> None:
    emulator.fail("POST", "/trials", status, times=9)
    with pytest.raises(StepError, match=message), child(cluster, step, TRIAL, trial(step), never):
        pass


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_passing_failures_are_tried_again(cluster: Cluster, emulator: Emulator, step: Step, status: int) -> None:
    fault = emulator.fail("POST", "/trials", status, times=2)
    with child(cluster, step, TRIAL, trial(step), never):
        assert list(emulator.objects("Trial")) == ["one"]
    assert fault.seen == 2


def test_lasting_failure_is_one_line(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    emulator.fail("POST", "/trials", 500, times=99)
    with pytest.raises(StepError, match="injected failure"), child(cluster, step, TRIAL, trial(step), never):
        pass


def test_names_are_short_enough_and_differ_between_runs(step: Step) -> None:
    long = "a-rather-long-name-of-a-pipeline-that-somebody-has-chosen-" * 3
    for kind in (EXPERIMENT, PYTORCH_JOB, TRIAL):
        assert len(step.name(long, kind)) <= kind.max_name
    assert step.name("train", PYTORCH_JOB) != Step("another-run").name("train", PYTORCH_JOB)
    assert step.name("train", PYTORCH_JOB) == Step(step.run_id).name("train", PYTORCH_JOB)
