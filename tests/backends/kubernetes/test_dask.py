"""Preprocessing on the real Dask operator, whose API is emulated and whose pods are local processes."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask_kubernetes.operator import KubeCluster
from distributed import Client, LocalCluster
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from container_component_src.backends.kubernetes import dask, dask_connection, dask_manifest
from container_component_src.cluster import conditions
from container_component_src.cluster.access import PATIENCE, Cluster, TransientError
from container_component_src.cluster.kinds import DASK_CLUSTER
from container_component_src.cluster.step import Step
from container_component_src.errors import StepError
from container_component_src.steps.data import ClusterSpec
from container_component_src.telemetry.dataset import Dataset
from tests.backends.kubernetes.dask_operator import Kubelet, resolving, running
from tests.backends.kubernetes.deployments import when
from tests.backends.kubernetes.golden import PODS
from tests.backends.kubernetes.stopping import DEADLINE, stop_when
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.cluster.emulator import running as emulated
from tests.helpers import TIME, Invoke, RunCommand, assert_refused, write_dataset

RELIST = 180  # seconds, after which the operator has listed anew whatever event it may have missed
KINDS = ("DaskCluster", "DaskWorkerGroup", "DaskAutoscaler", "Deployment", "Service", "Pod")
UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "exceeded quota: cpu"}],
}
ONE_WORKER, TWO_WORKERS = ClusterSpec(num_dask_workers=1), ClusterSpec(num_dask_workers=2)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again soon."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.2)
    monkeypatch.setattr(dask_connection, "PAUSE", 0.02)


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """One cluster with the operator at work for all tests that need it: its start takes seconds."""
    with emulated() as api, running(Kubelet(api, tmp_path_factory.mktemp("operator"))) as helper:
        yield helper


@pytest.fixture
def emulator(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The cluster of the operator for tests that use `kubelet`, and an empty one for the others."""
    with ExitStack() as stack:
        shared = "kubelet" in request.fixturenames
        api = request.getfixturevalue("operated").emulator if shared else stack.enter_context(emulated())
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))
        yield api


@pytest.fixture
def kubelet(operated: Kubelet, emulator: Emulator) -> Iterator[Kubelet]:
    """The operator at work, and nothing of the tests before; names of the cluster lead to its scheduler also here."""
    emulator.forget()
    with resolving(operated):
        yield operated
    emulator.forget()
    operated.waiting.clear()
    operated.refused.clear()

    def emptied() -> bool:
        """Whether nothing was there any more; the operator may still create what it has begun with."""
        found = [(kind, name) for kind in (*KINDS, "Event") for name in emulator.objects(kind)]
        for kind, name in found:
            emulator.remove(kind, name)
        return not found and not operated.processes

    assert wait_until(emptied)


def wait_until(holds: Callable[[], bool], timeout: float = DEADLINE) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + timeout
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def left(emulator: Emulator) -> dict[str, list[str]]:
    """What is there once the operator has let go of what was deleted; nothing, if all went well."""

    def found() -> dict[str, list[str]]:
        return {kind: names for kind in KINDS if (names := list(emulator.objects(kind)))}

    wait_until(lambda: not found(), RELIST)
    return found()


COMMAND = [
    *("run_dask_preprocessing", "--timestamp-col", TIME, "--backend", "kubernetes", "--num-dask-workers", "1"),
    *("--namespace", NAMESPACE, "--dask-worker-image", PODS.image),
]


@pytest.mark.slow
def test_the_command_makes_a_dataset_on_a_cluster_of_the_operator(
    run_command: RunCommand, emulator: Emulator, kubelet: Kubelet, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(40.0).reshape(20, 2)
    write_dataset(f"{bucket}/split", values, partition_rows=5)
    for name, value in kubelet.environment.items():
        monkeypatch.setenv(name, value)
    paths = ["--partitioned-telemetry-paths", f"{bucket}/split", "--df-out-path", f"{bucket}/dataset"]
    outcome = run_command(*COMMAND, *paths)
    assert (outcome.code, outcome.stderr) == (0, "")
    np.testing.assert_array_equal(Dataset.open(f"{bucket}/dataset").load().values, values)
    assert "4 of 4 partitions done" in outcome.stdout
    assert left(emulator) == {}


@pytest.mark.slow
def test_the_command_reports_what_failed_in_a_worker(
    run_command: RunCommand, emulator: Emulator, kubelet: Kubelet, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(f"{bucket}/split", np.zeros((4, 2)))
    write_dataset(f"{bucket}/other", np.zeros((4, 1)), channels=("other",))
    for name, value in kubelet.environment.items():
        monkeypatch.setenv(name, value)
    paths = json.dumps([f"{bucket}/split", f"{bucket}/other"])
    outcome = run_command(*COMMAND, "--partitioned-telemetry-paths", paths, "--df-out-path", f"{bucket}/dataset")
    assert_refused(outcome, "the first file")
    assert left(emulator) == {}


@pytest.mark.slow
def test_a_stopped_command_leaves_nothing(emulator: Emulator, kubelet: Kubelet, bucket: str) -> None:
    """It waits for workers that find no node."""
    kubelet.waiting["worker"] = UNSCHEDULABLE
    write_dataset(f"{bucket}/split", np.zeros((4, 2)))
    paths = ["--partitioned-telemetry-paths", f"{bucket}/split", "--df-out-path", f"{bucket}/dataset"]
    scaled = ("kubernetes.dask.org", "daskautoscalers", "delete")
    stop_when(lambda: scaled in emulator.rights_used(), [*COMMAND, *paths], {**os.environ, **kubelet.environment})
    assert left(emulator) == {}


@pytest.mark.slow
def test_a_cluster_comes_up_scales_and_closes(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet
) -> None:
    with dask.dask_client(cluster, step, PODS, ONE_WORKER) as client:
        assert len(client.scheduler_info()["workers"]) == 1
        (pod, *_) = emulator.objects("Pod").values()
        assert pod["metadata"]["labels"]["pipeline/runid"] == step.run_id
        assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        dask_connection.scale(client.cluster, TWO_WORKERS, cluster.patience)
        client.wait_for_workers(2, timeout=DEADLINE)
        dask_connection.scale(client.cluster, ONE_WORKER, cluster.patience)
        assert wait_until(lambda: len(client.scheduler_info()["workers"]) == 1)
    assert left(emulator) == {}


@pytest.mark.slow
def test_an_adaptive_cluster_follows_the_work(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet
) -> None:
    with dask.dask_client(cluster, step, PODS, ClusterSpec(num_dask_workers=2, min_workers=1, max_workers=2)) as client:
        (autoscaler,) = emulator.objects("DaskAutoscaler").values()
        assert (autoscaler["spec"]["minimum"], autoscaler["spec"]["maximum"]) == (1, 2)
        futures = client.map(time.sleep, [0.5 + number / 1e6 for number in range(200)])
        client.wait_for_workers(2, timeout=DEADLINE)
        client.cancel(futures)
    assert left(emulator) == {}


@pytest.mark.slow
def test_transient_failures_of_the_api_are_retried(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet
) -> None:
    requests = [("POST", "/daskclusters$"), ("GET", "/daskclusters"), ("GET", "/pods"), ("GET", "/services")]
    requests += [("GET", "/daskworkergroups"), ("DELETE", "/daskclusters/")]
    faults = [emulator.fail(*request, status) for request in requests for status in (429, 500, 0)]
    faults += [emulator.fail("PATCH", "/daskworkergroups/", status) for status in (500, 502, 503, 504, 429, 0)]
    patient = replace(cluster, patience=PATIENCE)
    with dask.dask_client(patient, step, PODS, ONE_WORKER) as client:
        assert client.submit(sum, [1, 2]).result() == 3
    assert [fault.seen for fault in faults] == [1] * len(faults)
    assert left(emulator) == {}


@pytest.mark.slow
@pytest.mark.parametrize("request_", [("GET", "/services/"), ("PATCH", "/daskworkergroups/")])
def test_a_cluster_is_kept_if_the_api_server_stays_unreachable(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet, request_: tuple[str, str]
) -> None:
    impatient = replace(cluster, patience=1.0)
    emulator.fail(*request_, 503, times=999)
    with (
        pytest.raises(TransientError, match="Dask cluster"),
        dask.dask_client(impatient, step, PODS, ONE_WORKER),
    ):
        pass
    assert len(emulator.objects("DaskCluster")) == 1


@pytest.mark.slow
def test_a_second_attempt_adopts_the_running_cluster(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet
) -> None:
    retried = Step(step.run_id, "step-pod-2", "00000000-0000-4000-8000-0000000000bb")
    with (
        dask.dask_client(cluster, step, PODS, ONE_WORKER) as first,
        dask.dask_client(cluster, retried, PODS, ONE_WORKER) as second,
    ):
        assert second.scheduler_info()["id"] == first.scheduler_info()["id"]
        (found,) = emulator.objects("DaskCluster").values()
        assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [step.pod_uid, retried.pod_uid]
    assert left(emulator) == {}


@pytest.mark.slow
def test_the_loss_of_a_cluster_during_the_work_is_reported(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet
) -> None:
    with (
        pytest.raises(StepError, match=r"DaskCluster dask-\w+ was deleted while it ran; run the step again"),
        dask.dask_client(cluster, step, PODS, ONE_WORKER) as client,
    ):
        future = client.submit(time.sleep, 5)
        emulator.remove("DaskCluster", next(iter(emulator.objects("DaskCluster"))))
        client.gather([future])
    assert left(emulator) == {}


NO_WORKER: Any = None
OOM_KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("error", "component", "message"),
    [
        (CommClosedError("reset"), "scheduler", "Dask cluster eclss: its scheduler is gone"),
        (KilledWorker("f", NO_WORKER, 3), "worker", "Dask cluster eclss: workers keep dying over one partition"),
    ],
)
def test_pods_that_ran_out_of_memory_are_reported(
    cluster: Cluster, emulator: Emulator, error: Exception, component: str, message: str
) -> None:
    emulator.put("DaskCluster", {"apiVersion": DASK_CLUSTER.api_version, "metadata": {"name": "eclss"}})
    state = {"name": component, "image": "i", "imageID": "", "ready": True, "restartCount": 1, "lastState": OOM_KILLED}
    put_pod(emulator, "eclss", component, {"containerStatuses": [state]})
    message += r"; pod a ended with code 137 \(OOMKilled\); .*raise --memory$"
    with pytest.raises(StepError, match=message), dask._explain_losses(cluster, "eclss"):
        raise error


def test_an_unreachable_scheduler_is_reported(
    cluster: Cluster, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_connection, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(KubeCluster, "from_name", lambda *_, **__: time.sleep(2))
    message = r"waited 0\.1 s for the scheduler of Dask cluster eclss to answer; check that no network policy"
    with pytest.raises(StepError, match=message), dask_connection.connected("eclss", cluster):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("ending", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_failed_or_stopped_step_leaves_nothing(
    cluster: Cluster, step: Step, emulator: Emulator, kubelet: Kubelet, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), dask.dask_client(cluster, step, PODS, ONE_WORKER):
        raise ending
    assert left(emulator) == {}


def put_pod(emulator: Emulator, cluster_name: str, component: str, status: dict[str, Any]) -> None:
    """A pod as the operator labels it."""
    labels = {"dask.org/cluster-name": cluster_name, "dask.org/component": component}
    (owner,) = emulator.objects("DaskCluster").values()
    kind = {"apiVersion": DASK_CLUSTER.api_version, "kind": DASK_CLUSTER.name}
    owners = [{**kind, "name": cluster_name, "uid": owner["metadata"]["uid"]}]
    metadata = {"name": "a", "labels": labels, "ownerReferences": owners}
    emulator.put("Pod", {"apiVersion": "v1", "metadata": metadata, "status": status})


def test_an_unschedulable_scheduler_is_reported(
    cluster: Cluster, step: Step, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "START_TIMEOUT", 2.0)
    name = step.name("dask", DASK_CLUSTER)
    when(lambda: emulator.objects("DaskCluster"), lambda: put_pod(emulator, name, "scheduler", UNSCHEDULABLE))
    message = r"0 of 1 schedulers of Dask cluster \S+ came in 2 s; pod a waits for a node: exceeded quota: cpu"
    with (
        pytest.raises(StepError, match=message),
        dask.dask_client(cluster, step, PODS, TWO_WORKERS),
    ):
        pass
    assert left(emulator) == {}


@pytest.mark.slow
@pytest.mark.parametrize("component", ["scheduler", "worker"])
def test_an_exceeded_quota_is_reported_while_pods_wait(
    cluster: Cluster,
    step: Step,
    emulator: Emulator,
    kubelet: Kubelet,
    caplog: pytest.LogCaptureFixture,
    component: str,
) -> None:
    def told() -> list[str]:
        return [record.message for record in caplog.records if "exceeded quota: small" in record.message]

    def free_when_told() -> None:
        wait_until(lambda: bool(told()), RELIST)
        kubelet.refused.clear()

    kubelet.refused = {component}
    threading.Thread(target=free_when_told, daemon=True).start()
    with dask.dask_client(cluster, step, PODS, ONE_WORKER) as client:
        assert len(client.scheduler_info()["workers"]) == 1
    (line,) = told()
    assert re.match(r"ReplicaSet dask-\S+: FailedCreate \(pods", line)
    assert left(emulator) == {}


def test_an_exceeded_quota_is_reported_after_the_timeout(
    cluster: Cluster, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "START_TIMEOUT", 0.2)
    kubelet = Kubelet(emulator, tmp_path, refused={"scheduler"})
    emulator.put("DaskCluster", {"apiVersion": DASK_CLUSTER.api_version, "metadata": {"name": "eclss"}})
    kubelet.refuse("eclss-scheduler")
    kubelet.refuse("another-scheduler")
    message = r"^0 of 1 schedulers of Dask cluster eclss came in 0.2 s; ReplicaSet eclss-scheduler-\w+: FailedCreate"
    with pytest.raises(StepError, match=message + "[^;]+exceeded quota[^;]+$"):
        dask._await_scheduler(cluster, "eclss")


def test_a_scheduler_that_crashes_ends_the_wait(cluster: Cluster, step: Step, emulator: Emulator) -> None:
    """Its cluster stays `Pending`, whatever its pod does."""
    name = step.name("dask", DASK_CLUSTER)
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}}
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    state = {"name": "scheduler", "image": "i", "imageID": "", "ready": False, "restartCount": 3}
    status = {"phase": "Running", "containerStatuses": [{**state, "state": waiting, "lastState": last}]}
    emulator.log("a").text = "No module named dask\n"
    when(lambda: emulator.objects("DaskCluster"), lambda: put_pod(emulator, name, "scheduler", status))
    message = r"the Dask scheduler keeps failing; pod a ended with code 1 \(Error\); No module named dask"
    with (
        pytest.raises(StepError, match=message),
        dask.dask_client(cluster, step, PODS, TWO_WORKERS),
    ):
        pass
    assert left(emulator) == {}


def test_a_cluster_is_not_idle_for_as_long_as_the_step_waits() -> None:
    """The operator deletes an idle one even under a connected client."""
    assert dask_manifest.IDLE_TIMEOUT > PATIENCE + dask_connection.CONNECT_TIMEOUT + dask.START_TIMEOUT


def test_unschedulable_workers_are_reported(
    cluster: Cluster, emulator: Emulator, dask_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "START_TIMEOUT", 0.2)
    emulator.put("DaskCluster", {"apiVersion": DASK_CLUSTER.api_version, "metadata": {"name": "eclss"}})
    put_pod(emulator, "eclss", "worker", UNSCHEDULABLE)
    message = "1 of 9 workers of Dask cluster eclss came in 0.2 s; pod a waits for a node: exceeded quota: cpu"
    with pytest.raises(StepError, match=message):
        dask._await_workers(cluster, dask_client, "eclss", 9)


def test_the_loss_of_the_scheduler_while_workers_start_is_reported(cluster: Cluster, emulator: Emulator) -> None:
    emulator.put("DaskCluster", {"apiVersion": DASK_CLUSTER.api_version, "metadata": {"name": "eclss"}})
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as local, Client(local) as client:
        client.close()
        with pytest.raises(StepError, match="its scheduler is gone"), dask._explain_losses(cluster, "eclss"):
            dask._await_workers(cluster, client, "eclss", 9)


def test_a_missing_operator_is_reported(
    cluster: Cluster, step: Step, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "START_TIMEOUT", 0.2)
    message = "the Dask operator does not run; install it"
    with (
        pytest.raises(StepError, match=message),
        dask.dask_client(cluster, step, PODS, TWO_WORKERS),
    ):
        pass
    assert left(emulator) == {}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/daskclusters$", 403, "not allowed to create DaskCluster"),
        ("POST", "/daskclusters$", 404, "install the Dask operator"),
        ("GET", "/daskclusters/", 403, "not allowed to get DaskCluster"),
    ],
)
def test_permanent_failures_of_the_api_are_reported(
    cluster: Cluster, step: Step, emulator: Emulator, method: str, path: str, status: int, message: str
) -> None:
    emulator.fail(method, path, status, times=99)
    with (
        pytest.raises(StepError, match=message),
        dask.dask_client(cluster, step, PODS, TWO_WORKERS),
    ):
        pass
    assert left(emulator) == {}


def test_a_cluster_is_left_to_the_next_attempt_while_the_api_fails(
    cluster: Cluster, step: Step, emulator: Emulator
) -> None:
    emulator.fail("GET", "/pods$", 500, times=99)
    impatient = replace(cluster, patience=0.5)
    with (
        pytest.raises(TransientError, match="injected failure"),
        dask.dask_client(impatient, step, PODS, TWO_WORKERS),
    ):
        pass
    assert len(emulator.objects("DaskCluster")) == 1


def test_the_dry_run_prints_the_manifest(invoke: Invoke, emulator: Emulator) -> None:
    paths = ["--partitioned-telemetry-paths", "s3://data/split", "--df-out-path", "s3://data/d"]
    outcome = invoke(*COMMAND, *paths, "--min-workers", "1", "--max-workers", "4", "--dry-run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("apiVersion: kubernetes.dask.org/v1\nkind: DaskCluster\n")
    assert "replicas: 1" in outcome.stdout
    assert emulator.requests() == []
