"""`doctor --backend kubernetes` through the command line, against an emulated API and a real object store."""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from container_component_src.cli import doctor as doctor_command
from container_component_src.cluster.access import connect
from container_component_src.cluster.pod_settings import PodSettings
from container_component_src.cluster.rights import RIGHTS
from container_component_src.maintenance import pod_checks
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.cluster_checks import check_secret, run_cluster_checks
from container_component_src.maintenance.input_checks import Inputs
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused, report, write_reports

SECRET = "very-s3cret"
ACCOUNT = "steps"
COMMAND = ("doctor", "--backend", "kubernetes", "--namespace", NAMESPACE, "--reports-path", "s3://doctor/reports.csv")


@pytest.fixture(autouse=True)
def administrator(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs doctor sees more than the steps."""
    monkeypatch.setenv("KUBECONFIG", str(emulator.kubeconfig(tmp_path / "administrator", ADMINISTRATOR)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with the anomaly reports."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="s", region_name="us-east-1"
    )
    s3.create_bucket(Bucket="doctor")
    table = write_reports(tmp_path_factory.mktemp("doctor") / "reports.csv", report((0, 60)))
    s3.upload_file(str(table), "doctor", "reports.csv")
    yield endpoint
    server.stop()


def secret(store: str, **changes: str | None) -> dict[str, Any]:
    values = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "S3_ENDPOINT": store, **changes}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items() if value is not None}
    return {"apiVersion": "v1", "metadata": {"name": "s3creds"}, "data": data}


def namespace(**labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "metadata": {"name": NAMESPACE, "labels": labels}}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """The checks that the command prints, by name."""
    found: dict[str, Check] = {}
    original = doctor_command.report

    def report_and_keep(checks: list[Check]) -> None:
        found.update({check.name: check for check in checks})
        original(checks)

    monkeypatch.setattr(doctor_command, "report", report_and_keep)
    return found


@pytest.fixture
def ready(emulator: Emulator, store: str) -> Emulator:
    """A cluster on which a run can succeed."""
    labels = {"katib.kubeflow.org/metrics-collector-injection": "enabled"}
    emulator.put("Namespace", namespace(**labels))
    emulator.put("Secret", secret(store))
    emulator.put("ServiceAccount", {"apiVersion": "v1", "metadata": {"name": ACCOUNT}})
    return emulator


def test_all_is_well(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    outcome = invoke(*COMMAND, "--image", "registry/image:1", "--service-account", ACCOUNT)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert {name for name, check in found.items() if not check.ok} == {"Workflow argoproj.io/v1alpha1"}
    assert {f"right to {'.'.join(filter(None, (right.resource, right.group)))}" for right in RIGHTS} < set(found)
    assert found["reports"].detail == "1 reported anomalies"
    assert "registry/image:1" in found["pod admission"].detail
    assert ready.objects("Pod") == {}
    assert SECRET not in outcome.stdout


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/apis/kubernetes.dask.org/v1$", "DaskCluster kubernetes.dask.org/v1"),
        ("/apis/serving.kserve.io/v1beta1$", "InferenceService serving.kserve.io/v1beta1"),
    ],
)
def test_kind_that_is_not_served(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], path: str, name: str
) -> None:
    ready.fail("GET", path, 404)
    assert_refused(invoke(*COMMAND), "1 of", name, code=1)
    assert found[name].mend.startswith("install ")


def test_namespace_without_its_label(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.put("Namespace", namespace())
    assert_refused(invoke(*COMMAND), "metrics of trials", code=1)
    assert "kubectl label" in found["metrics of trials"].mend


def test_namespace_that_is_not_there(emulator: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND), f"namespace {NAMESPACE}", code=1)
    assert found[f"namespace {NAMESPACE}"].mend == f"kubectl create namespace {NAMESPACE}"


@pytest.mark.parametrize("account", ["", ACCOUNT])
def test_missing_right_is_named(ready: Emulator, invoke: Invoke, found: dict[str, Check], account: str) -> None:
    ready.api.denied = {("delete", "experiments"), ("get", "pods/log")}
    assert_refused(invoke(*COMMAND, "--service-account", account), "2 of", code=1)
    failed = {name: check.detail.rpartition("may not ")[2] for name, check in found.items() if check.failed}
    assert failed == {"right to experiments.kubeflow.org": "delete", "right to pods/log": "get"}


def test_account_that_is_not_there(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND, "--service-account", "nobody"), "rights", code=1)
    assert found["rights"].detail == "there is no service account nobody"


@pytest.mark.parametrize(
    ("changes", "detail", "state"),
    [
        ({"AWS_SECRET_ACCESS_KEY": None}, "no AWS_SECRET_ACCESS_KEY", "failed"),
        ({"AWS_SECRET_ACCESS_KEY": f"{SECRET}\n"}, "blanks around AWS_SECRET_ACCESS_KEY", "failed"),
        ({"S3_ENDPOINT": None}, "no S3_ENDPOINT", "warning"),
    ],
)
def test_secret_that_is_not_complete(
    ready: Emulator, store: str, changes: dict[str, str | None], detail: str, state: str
) -> None:
    ready.put("Secret", secret(store, **changes))
    check, _ = check_secret(connect(NAMESPACE), "s3creds")
    assert check.detail.startswith(detail)
    assert check.state == state
    assert SECRET not in check.detail + check.mend


def test_secret_that_is_not_there(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND, "--s3-secret", "absent"), "Secret absent", code=1)
    assert "deploy/secret.example.yaml" in found["Secret absent"].mend


def test_bucket_that_is_not_there(ready: Emulator, invoke: Invoke) -> None:
    outcome = invoke(*COMMAND[:-1], "s3://absent-bucket/reports.csv")
    assert_refused(outcome, "bucket absent-bucket", code=1)


def test_inputs_of_this_machine_are_out_of_reach_of_pods(
    ready: Emulator, invoke: Invoke, tmp_path: Path, found: dict[str, Check]
) -> None:
    assert_refused(invoke(*COMMAND[:-1], str(tmp_path)), "inputs", code=1)
    assert "pods cannot reach" in found["inputs"].detail


def test_what_these_credentials_may_not_see_is_a_warning(
    ready: Emulator, invoke: Invoke, found: dict[str, Check]
) -> None:
    ready.fail("GET", "/secrets/s3creds$", 403)
    ready.api.denied = {("create", "pods")}
    outcome = invoke(*COMMAND[:-2], "--image", "registry/image:1")
    assert outcome.code == 0, outcome.stderr
    assert {found[name].state for name in ("Secret s3creds", "pod admission")} == {"warning"}


def test_pod_that_is_not_admitted(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.fail("POST", "/pods$", 403)
    assert_refused(invoke(*COMMAND, "--image", "registry/image:1", "--pull-image"), "pod admission", code=1)
    assert "injected failure" in found["pod admission"].detail


def test_api_that_does_not_answer_is_the_only_line(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    config = emulator.kubeconfig(tmp_path / "nowhere")
    config.write_text(config.read_text().replace(emulator.url, f"http://127.0.0.1:{free_port}"))
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster = connect(NAMESPACE, patience=0.0)
    (check,) = run_cluster_checks(cluster, PodSettings(), Inputs(), pull_image=False)
    assert (check.name, check.state) == ("API server", "failed")


PULL_FAILS = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
ENDS_WELL = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z"}}
FINDS_FAULT = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("state", "ok", "detail"),
    [
        (ENDS_WELL, True, "pulled, and doctor in it has nothing"),
        (FINDS_FAULT, False, "pulled; doctor in it ended with code 1: error: 1 of 30 checks failed"),
        (PULL_FAILS, False, "does not start: ImagePullBackOff (not found)"),
    ],
)
def test_what_comes_of_a_pod_is_told_and_the_pod_deleted(
    ready: Emulator,
    invoke: Invoke,
    found: dict[str, Check],
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
    ok: bool,
    detail: str,
) -> None:
    monkeypatch.setattr(pod_checks, "POLL_INTERVAL", 0.1)
    kubelet = threading.Thread(target=play_kubelet, args=(ready, state))
    kubelet.start()
    outcome = invoke(*COMMAND, "--image", "registry/image:1", "--pull-image")
    kubelet.join()
    assert outcome.code == (0 if ok else 1), outcome.stderr
    assert found["image"].ok == ok
    assert detail in found["image"].detail
    assert ready.objects("Pod") == {}


def play_kubelet(cluster: Emulator, state: dict[str, Any]) -> None:
    """Give the first pod that appears a node and an end."""
    deadline = time.monotonic() + 20
    while not cluster.objects("Pod") and time.monotonic() < deadline:
        time.sleep(0.05)
    (name,) = cluster.objects("Pod")
    cluster.log(name).text = "a table\nerror: 1 of 30 checks failed: disk\n"
    container = {"name": "doctor", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    cluster.patch(
        "Pod", name, {"spec": {"nodeName": "node"}, "status": {"phase": "Running", "containerStatuses": [container]}}
    )
