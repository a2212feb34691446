"""Preprocessing on the real Dask operator, whose API is emulated and whose pods are local processes."""

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container_component_src.backends.kubernetes import dask
from container_component_src.cluster import conditions
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.dask_preprocessor.cluster import ClusterSpec
from container_component_src.dask_preprocessor.preprocessor import preprocess
from container_component_src.errors import StepError
from tests.backends.kubernetes.dask_operator import Kubelet, running
from tests.backends.kubernetes.golden import PODS
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import TIME, RunCommand, write_dataset

KINDS = ("DaskCluster", "DaskWorkerGroup", "DaskAutoscaler", "Deployment", "Service", "Pod")
UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "exceeded quota: cpu"}],
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again soon."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.2)


@pytest.fixture
def kubelet(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubelet]:
    """The operator at work; names of the cluster lead to its scheduler also here."""
    original = socket.getaddrinfo
    helper = Kubelet(emulator, tmp_path)

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        known = bool(name) and name.split(".")[1:2] == [NAMESPACE]
        return original(helper.address if known else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with running(helper):
        yield helper


def left(emulator: Emulator) -> dict[str, list[str]]:
    """What is there once the operator has let go of what was deleted; nothing, if all went well."""
    deadline = time.monotonic() + 20
    while True:
        found = {kind: names for kind in KINDS if (names := list(emulator.objects(kind)))}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def test_a_dataset_is_made_on_a_cluster_of_the_operator(
    cluster: Cluster,
    step: Step,
    emulator: Emulator,
    kubelet: Kubelet,
    bucket: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    values = np.arange(40.0).reshape(20, 2)
    write_dataset(f"{bucket}/split", values, partition_rows=5)
    with dask.dask_client(cluster, step, PODS, ClusterSpec(2)) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        made = preprocess([f"{bucket}/split"], f"{bucket}/dataset", TIME, 1.0, "", client)
        (pod, *_) = emulator.objects("Pod").values()
        assert pod["metadata"]["labels"]["pipeline/runid"] == step.run_id
        assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    np.testing.assert_array_equal(made.load().values, values)
    assert "4 of 4 partitions done" in caplog.text
    assert left(emulator) == {}


def test_an_adaptive_cluster_has_its_bounds(cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet) -> None:
    with dask.dask_client(cluster, step, PODS, ClusterSpec(2, 1, 3)) as client:
        (autoscaler,) = emulator.objects("DaskAutoscaler").values()
        assert (autoscaler["spec"]["minimum"], autoscaler["spec"]["maximum"]) == (1, 3)
        assert len(client.scheduler_info()["workers"]) >= 1
    assert left(emulator) == {}


@pytest.mark.parametrize("ending", [ValueError, SystemExit, KeyboardInterrupt])
def test_nothing_is_left_of_a_step_that_failed_or_was_told_to_stop(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), dask.dask_client(cluster, step, PODS, ClusterSpec(1)):
        raise ending
    assert left(emulator) == {}


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (
            "scheduler",
            r"waited 15 s for the scheduler of Dask cluster \S+; pod \S+ waits for a node: exceeded quota: cpu",
        ),
        ("worker", r"0 of 2 workers of Dask cluster \S+ came in 15 s; pod \S+ waits for a node: exceeded quota: cpu"),
    ],
)
def test_pods_without_a_place_are_named(
    cluster: Cluster,
    step: Step,
    emulator: Emulator,
    kubelet: Kubelet,
    monkeypatch: pytest.MonkeyPatch,
    component: str,
    message: str,
) -> None:
    kubelet.waiting[component] = UNSCHEDULABLE
    monkeypatch.setattr(dask, "START_TIMEOUT", 15.0)
    with pytest.raises(StepError, match=message), dask.dask_client(cluster, step, PODS, ClusterSpec(2)):
        pass
    assert left(emulator) == {}


def test_an_absent_operator_is_named(
    cluster: Cluster, step: Step, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "START_TIMEOUT", 0.2)
    message = "the Dask operator does not run; install it"
    with pytest.raises(StepError, match=message), dask.dask_client(cluster, step, PODS, ClusterSpec(2)):
        pass
    assert left(emulator) == {}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/daskclusters$", 403, "not allowed to create DaskCluster"),
        ("POST", "/daskclusters$", 404, "install the Dask operator"),
        ("GET", "/daskclusters/", 403, "not allowed to get DaskCluster"),
        ("GET", "/pods$", 500, "injected failure"),
    ],
)
def test_lasting_failures_of_the_api_are_named(
    cluster: Cluster, step: Step, emulator: Emulator, method: str, path: str, status: int, message: str
) -> None:
    emulator.fail(method, path, status, times=99)
    with pytest.raises(StepError, match=message), dask.dask_client(cluster, step, PODS, ClusterSpec(2)):
        pass
    assert left(emulator) == {}


def test_the_dry_run_prints_the_manifest(run_command: RunCommand, emulator: Emulator) -> None:
    outcome = run_command(
        *("run_dask_preprocessing", "--partitioned-telemetry-paths", "s3://data/split", "--df-out-path", "s3://data/d"),
        *("--timestamp-col", "time", "--min-workers", "1", "--max-workers", "4", "--backend", "kubernetes"),
        *("--namespace", NAMESPACE, "--dask-worker-image", PODS.image, "--dry-run"),
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("apiVersion: kubernetes.dask.org/v1\nkind: DaskCluster\n")
    assert "replicas: 1" in outcome.stdout
    assert emulator.requests() == []
