"""`doctor --backend kubernetes` through the command line, against an emulated API and a real object store."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from container_component_src.cli import doctor as doctor_command
from container_component_src.cluster.access import connect
from container_component_src.cluster.rights import RIGHTS
from container_component_src.maintenance import pod_checks
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.cluster_checks import check_secret, run_cluster_checks
from container_component_src.maintenance.input_checks import Inputs
from container_component_src.steps.shared import PodSettings
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused, report, write_reports
from tests.maintenance.kubelet import ENDS_WELL, FINDS_FAULT, PULL_FAILS, playing_kubelet

SECRET = "very-s3cret"
ACCOUNT = "steps"
ROOTS = ("--data-root", "s3://doctor/runs", "--reports-path", "s3://doctor/reports.csv")
COMMAND = ("doctor", "--backend", "kubernetes", "--namespace", NAMESPACE, *ROOTS)
LAUNCHER = {"defaultPipelineRoot": "minio://mlpipeline/private-artifacts/ns/v2/artifacts"}


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
    emulator.put("ConfigMap", {"apiVersion": "v1", "metadata": {"name": "kfp-launcher"}, "data": LAUNCHER})
    emulator.put("ServiceAccount", {"apiVersion": "v1", "metadata": {"name": ACCOUNT}})
    return emulator


def test_all_checks_pass(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    outcome = invoke(*COMMAND, "--image", "registry/image:1", "--service-account", ACCOUNT)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [name for name, check in found.items() if not check.ok] == []
    assert {f"right to {'.'.join(filter(None, (right.resource, right.group)))}" for right in RIGHTS} < set(found)
    assert found["reports"].detail == "1 reported anomalies"
    assert "registry/image:1" in found["pod admission"].detail  # not pulled
    assert ready.objects("Pod") == {}
    assert SECRET not in outcome.stdout


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/apis/kubernetes.dask.org/v1$", "DaskCluster kubernetes.dask.org/v1"),
        ("/apis/serving.kserve.io/v1beta1$", "InferenceService serving.kserve.io/v1beta1"),
    ],
)
def test_missing_kind_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check], path: str, name: str) -> None:
    ready.fail("GET", path, 404)
    assert_refused(invoke(*COMMAND), "1 of", name, code=1)
    assert found[name].fix.startswith("install ")


def test_namespace_without_its_label_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.put("Namespace", namespace())
    assert_refused(invoke(*COMMAND), "metrics of trials", code=1)
    assert "kubectl label" in found["metrics of trials"].fix


def test_missing_namespace_fails(emulator: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND), f"namespace {NAMESPACE}", code=1)
    assert found[f"namespace {NAMESPACE}"].fix == f"kubectl create namespace {NAMESPACE}"


def test_pod_checks_its_own_account(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account of a profile may ask for its own rights only."""
    account = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    monkeypatch.setenv("KUBECONFIG", str(ready.kubeconfig(tmp_path / "pod", account)))
    ready.fail("POST", "/localsubjectaccessreviews$", 403, times=99)
    for options in ([], ["--service-account", ACCOUNT]):
        assert invoke(*COMMAND, *options).code == 0
        assert found["account"].detail == f"service account {ACCOUNT} of namespace {NAMESPACE}"
        assert len([name for name in found if name.startswith("right to ")]) == len(RIGHTS)
    assert invoke(*COMMAND, "--service-account", "other").code == 1
    assert found["rights"].detail == "there is no service account other"


@pytest.mark.parametrize("account", ["", ACCOUNT])
def test_missing_rights_are_named(ready: Emulator, invoke: Invoke, found: dict[str, Check], account: str) -> None:
    ready.api.denied = {("delete", "experiments"), ("get", "pods/log")}
    assert_refused(invoke(*COMMAND, "--service-account", account), "2 of", code=1)
    failed = {name: check.detail.rpartition("may not ")[2] for name, check in found.items() if check.failed}
    assert failed == {"right to experiments.kubeflow.org": "delete", "right to pods/log": "get"}


def test_missing_account_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND, "--service-account", "nobody"), "rights", code=1)
    assert found["rights"].detail == "there is no service account nobody"


@pytest.mark.parametrize(
    ("changes", "detail", "state"),
    [
        ({"AWS_SECRET_ACCESS_KEY": None}, "no AWS_SECRET_ACCESS_KEY", "failed"),
        ({"AWS_SECRET_ACCESS_KEY": f"{SECRET}\n"}, "whitespace around AWS_SECRET_ACCESS_KEY", "failed"),
        ({"S3_ENDPOINT": None}, "no S3_ENDPOINT", "warning"),
    ],
)
def test_incomplete_secret_is_reported_without_its_values(
    ready: Emulator, store: str, changes: dict[str, str | None], detail: str, state: str
) -> None:
    ready.put("Secret", secret(store, **changes))
    check, _ = check_secret(connect(NAMESPACE), "s3creds")
    assert check.detail.startswith(detail)
    assert check.state == state
    assert SECRET not in check.detail + check.fix


def test_missing_secret_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND, "--s3-secret", "absent"), "Secret absent", code=1)
    assert "deploy/secret.example.yaml" in found["Secret absent"].fix


def test_artifact_store_and_data_store_are_reported(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert invoke(*COMMAND).code == 0
    assert found["store of Kubeflow Pipelines"].detail.startswith("minio://mlpipeline/private-artifacts/ns/")
    assert found["your own store"].detail == "s3://doctor/runs: datasets, with the keys of Secret s3creds"
    assert found["data root"].detail == "s3://doctor/runs: Put, Get and List work; Delete works too"


def test_without_a_data_root_the_artifact_store_is_written_to(
    ready: Emulator, invoke: Invoke, found: dict[str, Check]
) -> None:
    """The keys of the Secret have to reach that too."""
    assert_refused(invoke(*COMMAND, "--data-root", ""), "checks failed: data root", code=1)
    assert found["data root"].detail.startswith("s3://mlpipeline/private-artifacts/ns/v2/artifacts/")
    assert "[paths] data_root" in found["data root"].fix
    assert found["your own store"].state == "warning"
    assert "[paths] data_root" in found["your own store"].fix


@pytest.mark.parametrize("status", [403, 404])
def test_unreadable_launcher_configuration_is_a_warning(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], status: int
) -> None:
    ready.fail("GET", "/configmaps/kfp-launcher$", status)
    assert invoke(*COMMAND).code == 0
    assert found["store of Kubeflow Pipelines"].state == "warning"


def test_quotas_are_compared_with_the_configuration(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    status = {"hard": {"requests.cpu": "3", "pods": "50"}, "used": {"requests.cpu": "1", "pods": "2"}}
    quota = {"apiVersion": "v1", "metadata": {"name": "small"}, "spec": {"hard": status["hard"]}, "status": status}
    ready.put("ResourceQuota", quota)
    assert invoke(*COMMAND).code == 0
    assert found["quota small"].detail == "requests.cpu: 2 of 3 left, pods: 48 of 50 left"
    config = Path(__file__).resolve().parents[2] / "config.toml"
    assert_refused(invoke(*COMMAND, "--config", config), "checks failed: quota small", code=1)


def test_missing_bucket_fails(ready: Emulator, invoke: Invoke) -> None:
    outcome = invoke(*COMMAND[:-1], "s3://absent-bucket/reports.csv")
    assert_refused(outcome, "bucket absent-bucket", code=1)


def test_local_inputs_fail_because_pods_cannot_reach_them(
    ready: Emulator, invoke: Invoke, tmp_path: Path, found: dict[str, Check]
) -> None:
    assert_refused(invoke(*COMMAND[:-1], str(tmp_path)), "inputs", code=1)
    assert "pods cannot reach" in found["inputs"].detail


def test_checks_without_the_necessary_rights_are_warnings(
    ready: Emulator, invoke: Invoke, found: dict[str, Check]
) -> None:
    ready.fail("GET", "/secrets/s3creds$", 403)
    ready.api.denied = {("create", "pods")}
    outcome = invoke(*COMMAND[: -len(ROOTS)], "--image", "registry/image:1")
    assert outcome.code == 0, outcome.stderr
    assert {found[name].state for name in ("Secret s3creds", "pod admission")} == {"warning"}


def test_refused_pod_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.fail("POST", "/pods$", 403)
    assert_refused(invoke(*COMMAND, "--image", "registry/image:1", "--pull-image"), "pod admission", code=1)
    assert "injected failure" in found["pod admission"].detail
    assert "a quota" in found["pod admission"].fix


def test_unreachable_api_is_the_only_check(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    config = emulator.kubeconfig(tmp_path / "nowhere")
    config.write_text(config.read_text().replace(emulator.url, f"http://127.0.0.1:{free_port}"))
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster = connect(NAMESPACE, patience=0.0)
    (check,) = run_cluster_checks(cluster, PodSettings(), Inputs(), pull_image=False)
    assert (check.name, check.state) == ("API server", "failed")


@pytest.mark.parametrize(
    ("state", "ok", "detail"),
    [
        (ENDS_WELL, True, "pulled, and doctor found no problem inside"),
        (FINDS_FAULT, False, "pulled, but its command ended with code 1: error: 1 of 30 checks failed"),
        (PULL_FAILS, False, "does not start: ImagePullBackOff (not found)"),
    ],
)
def test_result_of_a_pod_is_reported_and_the_pod_deleted(
    ready: Emulator,
    invoke: Invoke,
    found: dict[str, Check],
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
    ok: bool,
    detail: str,
) -> None:
    monkeypatch.setattr(pod_checks, "POLL_INTERVAL", 0.1)
    with playing_kubelet(ready, state):
        outcome = invoke(*COMMAND, "--image", "registry/image:1", "--pull-image")
    assert outcome.code == (0 if ok else 1), outcome.stderr
    assert found["image"].ok == ok
    assert detail in found["image"].detail
    assert ready.objects("Pod") == {}
