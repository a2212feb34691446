import time
from typing import Any

import pytest

from container_component_src.backends.kubernetes.serving_manifest import manifest
from container_component_src.cluster.inference_services import (
    MODE_ANNOTATION,
    PASSED,
    PENDING,
    RUN_ANNOTATION,
    TEST_ANNOTATION,
)
from container_component_src.cluster.kinds import DASK_CLUSTER, EXPERIMENT, INFERENCE_SERVICE, PYTORCH_JOB, Kind
from container_component_src.cluster.rights import TRAINING_KINDS
from container_component_src.cluster.step import MANAGED_BY, Step
from container_component_src.steps.serving import Hosting
from tests.backends.kubernetes import deployments
from tests.backends.kubernetes.deployments import PODS
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused

RUN = "5a0c0b5e-0000-4000-8000-000000000001"
JOBS = (DASK_CLUSTER, EXPERIMENT, *TRAINING_KINDS)
TRAININGS = ["removed PyTorchJob mine", "removed TrainJob mine", "removed TrainingRuntime mine"]
COMMAND = ("cleanup", "--run-id", RUN, "--backend", "kubernetes", "--namespace", NAMESPACE)


def put(emulator: Emulator, kind: Kind, name: str, labels: dict[str, str]) -> None:
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    emulator.put(kind.name, {"apiVersion": kind.api_version, "metadata": metadata, "spec": {}})


@pytest.fixture
def left_behind(emulator: Emulator) -> Emulator:
    """A cluster with jobs of the run and similar jobs of others."""
    mine = Step(RUN).labels
    for kind in JOBS:
        put(emulator, kind, "mine", mine)
        put(emulator, kind, "of-another-run", Step("another-run").labels)
        put(emulator, kind, "of-another-program", {"pipeline/runid": RUN})
    put(emulator, INFERENCE_SERVICE, "mine", mine)
    put_service(emulator, "tested", RUN, PASSED)
    put_service(emulator, "of-another-run", "another-run", PENDING)
    return emulator


def put_service(emulator: Emulator, name: str, run_id: str, mark: str) -> None:
    annotations = {RUN_ANNOTATION: run_id, TEST_ANNOTATION: mark, MODE_ANNOTATION: "RawDeployment"}
    metadata = {"name": name, "labels": MANAGED_BY, "annotations": annotations}
    status = {"deploymentMode": "Standard"}
    manifest = {"apiVersion": INFERENCE_SERVICE.api_version, "metadata": metadata, "spec": {}, "status": status}
    emulator.put(INFERENCE_SERVICE.name, manifest)


def names(emulator: Emulator, kind: Kind) -> set[str]:
    return set(emulator.objects(kind.name))


def test_only_the_jobs_of_the_run_are_deleted(left_behind: Emulator, invoke: Invoke) -> None:
    outcome = invoke(*COMMAND)
    assert outcome.stdout.splitlines() == [
        "removed DaskCluster mine",
        "removed Experiment mine",
        *TRAININGS,
    ]
    for kind in JOBS:
        assert names(left_behind, kind) == {"of-another-run", "of-another-program"}
    assert names(left_behind, INFERENCE_SERVICE) == {"mine", "tested", "of-another-run"}
    assert invoke(*COMMAND).stdout == f"nothing left of run {RUN}\n"


def test_untested_service_is_deleted_even_if_kserve_would_refuse(
    emulator: Emulator, kserve: KServe, invoke: Invoke
) -> None:
    """The annotation and the status have different modes, so KServe would never complete the deletion."""
    service = manifest(Step(RUN), PODS, deployments.service("one", Hosting(deployment_mode="RawDeployment")))
    emulator.put("InferenceService", service)
    deadline = time.monotonic() + 120
    while "status" not in deployments.stored(emulator):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert invoke(*COMMAND).stdout == "removed untested InferenceService eclss\n"
    assert names(emulator, INFERENCE_SERVICE) == set()


def test_kinds_that_are_not_installed_are_skipped(left_behind: Emulator, invoke: Invoke) -> None:
    left_behind.fail("GET", "/daskclusters$", 404, times=9)
    assert invoke(*COMMAND).stdout.splitlines() == ["removed Experiment mine", *TRAININGS]


def test_refusal_is_reported_after_all_other_kinds(left_behind: Emulator, invoke: Invoke) -> None:
    left_behind.fail("GET", "/experiments$", 403, times=9)
    assert_refused(invoke(*COMMAND), "not allowed to list Experiment", "apply deploy/rbac.yaml", code=1)
    assert "mine" in names(left_behind, EXPERIMENT)
    assert "mine" not in names(left_behind, PYTORCH_JOB)


def test_request_over_a_broken_connection_is_retried(left_behind: Emulator, invoke: Invoke) -> None:
    fault = left_behind.fail("DELETE", "/pytorchjobs/", 0, times=1)
    assert "removed PyTorchJob mine" in invoke(*COMMAND).stdout
    assert fault.seen == 1


@pytest.mark.parametrize(("changed", "message"), [({"--namespace": ""}, "--namespace"), ({"--run-id": "*"}, "run id")])
def test_invalid_options_are_refused(emulator: Emulator, invoke: Invoke, changed: dict[str, str], message: str) -> None:
    options = {"--run-id": RUN, "--namespace": NAMESPACE, "--backend": "kubernetes", **changed}
    assert_refused(invoke("cleanup", *(part for pair in options.items() for part in pair)), message)
