"""Following a run in a notebook, with the Workflow and the pods from Kubernetes."""

import base64
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from container_component_src.cluster.access import connect
from pipeline.remote.workspace import Workspace
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, STEPS, Emulator, running
from tests.pipeline.remote.argo import WORKFLOW, Task, manifest
from tests.pipeline.remote.conftest import Follow
from tests.pipeline.remote.platform_server import Platform
from tests.pipeline.remote.runs_api import Moment

RUNNING = {"run-pytorchjob": Task("Running")}
QUOTA = 'pods "a" is forbidden: exceeded quota'


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An empty cluster."""
    with running() as api:
        yield api


@pytest.fixture
def notebook(emulator: Emulator, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with access to Kubernetes."""
    monkeypatch.setenv("KUBECONFIG", str(emulator.kubeconfig(tmp_path / "kubeconfig", ADMINISTRATOR)))
    return replace(workspace, cluster=connect(NAMESPACE))


def test_workflow_and_log_come_from_kubernetes(
    emulator: Emulator, platform: Platform, follow: Follow, notebook: Workspace
) -> None:
    failed = {"run-pytorchjob": Task("Failed", attempts=2), "list-archives": Task("Error", message=QUOTA)}

    def fail() -> None:
        """Let the run fail in Kubernetes before Kubeflow Pipelines notices."""
        run_id = platform.api.runs[0]["run_id"]
        workflow = manifest(run_id, failed, "Failed")
        emulator.put("Workflow", in_namespace(workflow))
        name = next(
            node["name"]
            for node in workflow["status"]["nodes"].values()
            if node["name"].endswith("run-pytorchjob.executor(1)")
        )
        metadata = {"name": "some-pod", "labels": {"pipeline/runid": run_id}}
        annotations = {"workflows.argoproj.io/node-name": name}
        emulator.put("Pod", {"apiVersion": "v1", "metadata": {**metadata, "annotations": annotations}})
        emulator.log("some-pod").text = "epoch 1\nerror: out of memory\n"

    platform.faults["/apis/v2beta1/runs/"] = [fail]
    told = follow(Moment("FAILED", RUNNING), where=notebook)
    assert told.code == 1
    assert f"list_archives failed: {QUOTA}" in told.error.splitlines()
    assert "run_pytorchjob failed: out of memory" in told.error.splitlines()
    assert "    epoch 1" in told.error.splitlines()
    assert not [path for _, path in platform.seen if "/apis/v1beta1/" in path]


def test_deleted_workflow_ends_the_waiting(
    emulator: Emulator, platform: Platform, follow: Follow, notebook: Workspace
) -> None:
    def put() -> None:
        emulator.put("Workflow", in_namespace(manifest(platform.api.runs[0]["run_id"], RUNNING)))

    moments = [Moment("RUNNING", RUNNING)]
    platform.faults["/apis/v2beta1/runs/"] = [
        put,
        lambda: None,
        lambda: None,
        lambda: emulator.remove("Workflow", WORKFLOW),
    ]
    told = follow(*moments, where=notebook)
    assert told.code == 1
    assert told.error.startswith("error: the Workflow of the run was deleted by another user")


def test_kubeflow_pipelines_is_used_without_rights_in_kubernetes(
    emulator: Emulator,
    platform: Platform,
    follow: Follow,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(emulator.kubeconfig(tmp_path / "kubeconfig", STEPS)))
    pending = Moment("RUNNING", {"run-pytorchjob": Task("Pending", message=QUOTA)})
    told = follow(*[pending] * 6, Moment("SUCCEEDED"), where=replace(workspace, cluster=connect(NAMESPACE)))
    assert told.code == 0
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"run_pytorchjob waits: {QUOTA}"]


def test_log_of_a_deleted_pod_comes_from_the_argo_store(
    emulator: Emulator, platform: Platform, follow: Follow, notebook: Workspace, s3_endpoint: str
) -> None:
    import s3fs

    store = s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=f"http://{s3_endpoint}")
    store.mkdir("argo-logs")
    store.pipe_file("argo-logs/private-artifacts/user/main.log", b"x" * 100_000 + b"\nepoch 1\nerror: out of memory\n")
    keys = {"accesskey": base64.b64encode(b"key").decode(), "secretkey": base64.b64encode(b"secret").decode()}
    emulator.put("Secret", {"apiVersion": "v1", "metadata": {"name": "store"}, "data": keys})
    repository = {
        "endpoint": s3_endpoint,
        "bucket": "argo-logs",
        "insecure": True,
        "accessKeySecret": {"name": "store", "key": "accesskey"},
        "secretKeySecret": {"name": "store", "key": "secretkey"},
    }

    def fail() -> None:
        workflow = manifest(platform.api.runs[0]["run_id"], {"run-pytorchjob": Task("Failed")}, "Failed")
        workflow["status"]["artifactRepositoryRef"] = {"default": True, "artifactRepository": {"s3": repository}}
        for node in workflow["status"]["nodes"].values():
            if node["type"] == "Pod":
                log = {"name": "main-logs", "s3": {"key": "private-artifacts/user/main.log"}}
                node["outputs"] = {"artifacts": [log]}
        emulator.put("Workflow", in_namespace(workflow))

    platform.faults["/apis/v2beta1/runs/"] = [fail]
    told = follow(Moment("FAILED", RUNNING), where=notebook)
    assert "run_pytorchjob failed: out of memory" in told.error.splitlines()
    assert "    epoch 1" in told.error.splitlines()


def in_namespace(workflow: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Return a Workflow in the namespace of the emulated cluster."""
    return {**workflow, "metadata": {**workflow["metadata"], "namespace": NAMESPACE}}
