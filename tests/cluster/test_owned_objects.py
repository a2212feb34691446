import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.cluster import owned_objects
from container_component_src.cluster.access import Cluster, TransientError
from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, PYTORCH_JOB, Kind
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
    """What the first attempt of a step leaves that is killed: the object, which nobody deletes."""
    return owned_objects._create_or_adopt(cluster, step, EXPERIMENT, owned_objects.with_digest(manifest), never)


def never(found: dict[str, Any]) -> bool:
    return False


def test_child_ends_with_the_block(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    with owned_object(cluster, step, EXPERIMENT, experiment(step), never) as created:
        assert created["metadata"]["uid"]
        (stored,) = emulator.objects("Experiment").values()
        assert stored["metadata"]["labels"]["pipeline/runid"] == step.run_id
        assert stored["metadata"]["ownerReferences"][0]["uid"] == step.pod_uid
    assert emulator.objects("Experiment") == {}


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_child_ends_with_a_failure(
    cluster: Cluster, emulator: Emulator, step: Step, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), owned_object(cluster, step, EXPERIMENT, experiment(step), never):
        raise ending
    assert emulator.objects("Experiment") == {}


def test_second_attempt_adopts_the_running_child(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    created = leave_behind(cluster, step, experiment(step))
    with owned_object(cluster, retried, EXPERIMENT, experiment(retried), never) as adopted:
        assert adopted["metadata"]["uid"] == created["metadata"]["uid"]
        owners = [owner["uid"] for owner in emulator.objects("Experiment")["one"]["metadata"]["ownerReferences"]]
        assert owners == [step.pod_uid, retried.pod_uid]
    assert emulator.objects("Experiment") == {}


@pytest.mark.parametrize("reason", ["failed", "other arguments"])
def test_second_attempt_replaces_what_it_cannot_use(
    cluster: Cluster, emulator: Emulator, step: Step, reason: str
) -> None:
    created = leave_behind(cluster, step, experiment(step))
    again = experiment(step, maxTrialCount=2) if reason == "other arguments" else experiment(step)
    with owned_object(cluster, step, EXPERIMENT, again, lambda found: reason == "failed") as new:
        assert new["metadata"]["uid"] != created["metadata"]["uid"]


def test_what_is_started_anew_is_the_same_with_the_same_owner(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    with owned_object(cluster, step, EXPERIMENT, experiment(step), never) as created:
        emulator.patch("Experiment", "one", {"status": {"conditions": []}})
        new = recreate(cluster, step, EXPERIMENT, created, never)
        assert "status" not in new
        assert new["metadata"]["uid"] != created["metadata"]["uid"]
        for part in ("labels", "annotations", "ownerReferences"):
            assert new["metadata"][part] == created["metadata"][part]
        assert new["spec"] == created["spec"]
    assert emulator.objects("Experiment") == {}


def test_child_of_another_run_is_left_alone(cluster: Cluster, emulator: Emulator, step: Step) -> None:
    other = Step("another-run")
    leave_behind(cluster, other, experiment(other))
    with (
        pytest.raises(StepError, match="belongs to another run"),
        owned_object(cluster, step, EXPERIMENT, experiment(step), never),
    ):
        pass
    assert list(emulator.objects("Experiment")) == ["one"]


@pytest.mark.parametrize(("status", "message"), [(403, "not allowed to create Experiment one"), (404, "install Katib")])
def test_refusals_name_the_fix(cluster: Cluster, emulator: Emulator, step: Step, status: int, message: str) -> None:
    emulator.fail("POST", "/experiments", status, times=9)
    with pytest.raises(StepError, match=message), owned_object(cluster, step, EXPERIMENT, experiment(step), never):
        pass


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_passing_failures_are_tried_again(cluster: Cluster, emulator: Emulator, step: Step, status: int) -> None:
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


def test_what_runs_is_not_deleted_because_the_api_server_is_away(
    cluster: Cluster, emulator: Emulator, step: Step
) -> None:
    impatient = replace(cluster, patience=0.5)
    with pytest.raises(TransientError), owned_object(impatient, step, EXPERIMENT, experiment(step), never):
        emulator.fail("GET", "/experiments", 0, times=99)
        impatient.get(EXPERIMENT, "one")
    assert list(emulator.objects("Experiment")) == ["one"]


DERIVED = {  # the longest name that operators and Kubernetes make of one, and how long it may be
    DASK_CLUSTER: ("{}-scheduler", 63),
    EXPERIMENT: ("{}", 40),
    PYTORCH_JOB: ("{}-worker-9999", 63),
}


@given(
    run=st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?", fullmatch=True),
    kind=st.sampled_from([*DERIVED]),
)
def test_names_are_dns_labels_that_never_exceed_the_limit(run: str, kind: Kind) -> None:
    for prefix in ("tuning", "a-rather-long-name-of-a-pipeline-that-somebody-has-chosen-" * 3):
        name = Step(run).name(prefix, kind)
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        pattern, limit = DERIVED[kind]
        assert len(pattern.format(name)) <= limit


def test_names_differ_between_runs_and_stay_within_one(step: Step) -> None:
    assert step.name("train", PYTORCH_JOB) != Step("another-run").name("train", PYTORCH_JOB)
    assert step.name("train", PYTORCH_JOB) == Step(step.run_id).name("train", PYTORCH_JOB)
