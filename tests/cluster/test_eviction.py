"""Tests of a stopped step: its object is deleted, or kept if the step is evicted."""

import signal
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
    """A step whose pod belongs to a workflow, as in KFP."""
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


def test_workflow_owns_the_objects_of_its_steps(cluster: Cluster, emulator: Emulator, of_workflow: Step) -> None:
    with owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never):
        (stored,) = emulator.objects("Experiment").values()
        assert stored["metadata"]["ownerReferences"] == [{**WORKFLOW, "controller": False, "blockOwnerDeletion": False}]


def test_workflow_in_another_namespace_is_not_an_owner(cluster: Cluster, of_workflow: Step) -> None:
    assert workflow_of(cluster, replace(of_workflow, pod_namespace=NAMESPACE)) is not None
    assert workflow_of(cluster, replace(of_workflow, pod_namespace="another")) is None


EVICTED: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


def evict(emulator: Emulator, step: Step) -> None:
    """Stop this process as the eviction of its pod does."""
    emulator.patch("Pod", step.pod_name, EVICTED)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("pod", "workflow", "resumable", "kept"),
    [
        (EVICTED, {}, True, True),
        (EVICTED, {}, False, False),
        ({}, {}, True, False),
        (EVICTED, {"spec": {"activeDeadlineSeconds": 0}}, True, False),
        (EVICTED, {"spec": {"shutdown": "Terminate"}}, True, False),
        (EVICTED, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True, False),
    ],
)
def test_only_an_eviction_keeps_resumable_objects(
    cluster: Cluster,
    emulator: Emulator,
    of_workflow: Step,
    pod: dict[str, Any],
    workflow: dict[str, Any],
    resumable: bool,
    kept: bool,
) -> None:
    with (
        pytest.raises(SystemExit),
        owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never, resumable),
    ):
        emulator.patch("Pod", of_workflow.pod_name, pod)
        emulator.patch("Workflow", "run-1", workflow)
        raise SystemExit(143)
    assert bool(emulator.objects("Experiment")) is kept


def test_eviction_of_a_deleted_pod_keeps_resumable_objects(
    cluster: Cluster, emulator: Emulator, of_workflow: Step
) -> None:
    with (
        pytest.raises(SystemExit),
        owned_object(cluster, of_workflow, EXPERIMENT, experiment(of_workflow), never, resumable=True),
    ):
        emulator.remove("Pod", of_workflow.pod_name)
        raise SystemExit(143)
    assert list(emulator.objects("Experiment")) == ["one"]
