"""Tests of `doctor --backend kubernetes` with an emulated API and a real object store."""

from pathlib import Path
from typing import Any

import pytest

from container_component_src.cluster.access import connect
from container_component_src.cluster.rights import RIGHTS
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.cluster_checks import check_secret, run_cluster_checks
from container_component_src.maintenance.input_checks import Inputs
from container_component_src.steps.shared import PodSettings
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused
from tests.maintenance.clusters import ACCOUNT, COMMAND, ROOTS, SECRET, namespace, secret

pytestmark = pytest.mark.usefixtures("administrator")


def test_all_checks_pass(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    outcome = invoke(*COMMAND, "--image", "registry.io/image:1", "--service-account", ACCOUNT)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [name for name, check in found.items() if not check.ok] == []
    assert {f"right to {'.'.join(filter(None, (right.resource, right.group)))}" for right in RIGHTS} < set(found)
    assert found["reports"].detail == "1 reported anomalies"
    assert "registry.io/image:1" in found["pod admission"].detail  # not pulled
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


PYTORCH_JOBS, TRAIN_JOBS = "/apis/kubeflow.org/v1$", "/apis/trainer.kubeflow.org/v1alpha1$"


@pytest.mark.parametrize(("missing", "code"), [([PYTORCH_JOBS], 0), ([TRAIN_JOBS], 0), ([PYTORCH_JOBS, TRAIN_JOBS], 1)])
def test_one_kind_of_training_is_enough(
    ready: Emulator, invoke: Invoke, found: dict[str, Check], missing: list[str], code: int
) -> None:
    for path in missing:
        ready.fail("GET", path, 404, times=99)
    assert invoke(*COMMAND).code == code
    kinds = ("PyTorchJob kubeflow.org/v1", "TrainJob trainer.kubeflow.org/v1alpha1")
    served = [PYTORCH_JOBS not in missing, TRAIN_JOBS not in missing]
    assert [kind in found and found[kind].ok for kind in kinds] == served
    assert [kind in found for kind in kinds] == (served if any(served) else [True, True])
    rights = ("right to pytorchjobs.kubeflow.org", "right to trainjobs.trainer.kubeflow.org")
    assert [name in found for name in rights] == served


def test_namespace_without_its_label_fails(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    ready.put("Namespace", namespace())
    assert_refused(invoke(*COMMAND), "metrics of trials", code=1)
    assert "kubectl label" in found["metrics of trials"].fix


def test_missing_namespace_fails(emulator: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    assert_refused(invoke(*COMMAND), f"namespace {NAMESPACE}", code=1)
    assert found[f"namespace {NAMESPACE}"].fix == f"kubectl create namespace {NAMESPACE}"


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


def test_quotas_are_compared_with_the_configuration(ready: Emulator, invoke: Invoke, found: dict[str, Check]) -> None:
    status = {"hard": {"requests.cpu": "3", "pods": "50"}, "used": {"requests.cpu": "1", "pods": "2"}}
    quota = {"apiVersion": "v1", "metadata": {"name": "small"}, "spec": {"hard": status["hard"]}, "status": status}
    ready.put("ResourceQuota", quota)
    assert invoke(*COMMAND).code == 0
    assert found["quota small"].detail == "requests.cpu: 2 of 3 left, pods: 48 of 50 left"
    config = Path(__file__).resolve().parents[2] / "config.toml"
    assert_refused(invoke(*COMMAND, "--config", config), "checks failed: quota small", code=1)


def test_the_tried_pod_is_as_the_configuration_says(ready: Emulator, invoke: Invoke, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    paths = '[paths]\narchives = "s3://doctor/a"\nreports = "s3://doctor/r"\n'
    config.write_text(f'{paths}[image]\npull_secret = "login"\n[platform]\npod_labels = {{ team = "eclss" }}\n')
    seen: list[dict[str, Any]] = []
    ready.admit("Pod", lambda _, pod: seen.append(pod) or "")  # type: ignore[func-returns-value]
    assert invoke(*COMMAND, "--image", "registry.io/image:1", "--config", config).code == 0
    assert [pod["spec"]["imagePullSecrets"] for pod in seen] == [[{"name": "login"}]]
    assert seen[0]["metadata"]["labels"]["team"] == "eclss"


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
    outcome = invoke(*COMMAND[: -len(ROOTS)], "--image", "registry.io/image:1")
    assert outcome.code == 0, outcome.stderr
    assert {found[name].state for name in ("Secret s3creds", "pod admission")} == {"warning"}


def test_unreachable_api_is_the_only_check(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    config = emulator.kubeconfig(tmp_path / "nowhere")
    config.write_text(config.read_text().replace(emulator.url, f"http://127.0.0.1:{free_port}"))
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster = connect(NAMESPACE, patience=0.0)
    (check,) = run_cluster_checks(cluster, PodSettings(), Inputs(), pull_image=False)
    assert (check.name, check.state) == ("API server", "failed")
