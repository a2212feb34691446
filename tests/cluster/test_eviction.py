"""A step that is told to stop: what it started ends with it, or goes on where the run does."""

from dataclasses import replace
from typing import Any

import pytest

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.eviction import workflow_of
from container_component_src.cluster.kinds import EXPERIMENT
from container_component_src.cluster.owned_objects import owned_object
from container_component_src.cluster.step import Step
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.test_owned_objects import experiment, never

WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run-1", "uid": "workflow-uid"}


@pytest.fixture
def of_workflow(emulator: Emulator, step: Step) -> Step:
    """A step whose pod belongs to a workflow, as KFP's do."""
    emulator.put("Workflow", {"metadata": {"name": "run-1", "uid": "workflow-uid"}, "spec": {}})
    emulator.put(
        "Pod",
        {
            "metadata": {
                "name": step.pod_name,
                "uid": step.pod_uid,
                "ownerReferences": [{**WORKFLOW, "controller": True}],
            },
            "status": {"phase": "Running"},
        },
    )
    return step


def test_the_workflow_owns_what_a_step_of_it_starts(cluster: Cluster, emulator: Emulator, of_workflow: Step) -> None:
    with owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never):
        (stored,) = emulator.objects("Experiment").values()
        assert stored["metadata"]["ownerReferences"] == [{**WORKFLOW, "controller": False, "blockOwnerDeletion": False}]


def test_a_workflow_of_another_namespace_is_no_owner(cluster: Cluster, of_workflow: Step) -> None:
    assert workflow_of(cluster, replace(of_workflow, pod_namespace=NAMESPACE)) is not None
    assert workflow_of(cluster, replace(of_workflow, pod_namespace="another")) is None


EVICTED: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("pod", "workflow", "resumable", "left"),
    [
        (EVICTED, {}, True, True),
        (EVICTED, {}, False, False),
        ({}, {}, True, False),
        (EVICTED, {"spec": {"activeDeadlineSeconds": 0}}, True, False),
        (EVICTED, {"spec": {"shutdown": "Terminate"}}, True, False),
        (EVICTED, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True, False),
    ],
)
def test_only_an_eviction_leaves_what_can_go_on(
    cluster: Cluster,
    emulator: Emulator,
    of_workflow: Step,
    pod: dict[str, Any],
    workflow: dict[str, Any],
    resumable: bool,
    left: bool,
) -> None:
    with (
        pytest.raises(SystemExit),
        owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never, resumable),
    ):
        emulator.patch("Pod", of_workflow.pod_name, pod)
        emulator.patch("Workflow", "run-1", workflow)
        raise SystemExit(143)
    assert bool(emulator.objects("Experiment")) is left


def test_an_evicted_pod_that_is_gone_leaves_what_can_go_on(
    cluster: Cluster, emulator: Emulator, of_workflow: Step
) -> None:
    with (
        pytest.raises(SystemExit),
        owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never, resumable=True),
    ):
        emulator.remove("Pod", of_workflow.pod_name)
        raise SystemExit(143)
    assert list(emulator.objects("Experiment")) == ["one"]
