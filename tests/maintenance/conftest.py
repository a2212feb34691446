"""An emulated cluster and an object store for the tests of this folder."""

from pathlib import Path

import boto3
import pytest

from container_component_src.cli import doctor as doctor_command
from container_component_src.maintenance.checks import Check
from tests.backends.kubernetes.deployments import kserve  # noqa: F401
from tests.cluster import conftest as cluster_fixtures
from tests.cluster.emulator import ADMINISTRATOR, Emulator
from tests.helpers import report, write_reports
from tests.maintenance.clusters import ACCOUNT, CONTROLLERS, LAUNCHER, namespace, secret

emulator = cluster_fixtures.emulator


@pytest.fixture
def administrator(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials with all rights, since doctor reads more than the steps may."""
    monkeypatch.setenv("KUBECONFIG", str(emulator.kubeconfig(tmp_path / "administrator", ADMINISTRATOR)))


@pytest.fixture(scope="session")
def store(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Endpoint of an S3 store with the anomaly reports in bucket `doctor`."""
    endpoint = f"http://{s3_endpoint}"
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="s", region_name="us-east-1"
    )
    s3.create_bucket(Bucket="doctor")
    table = write_reports(tmp_path_factory.mktemp("doctor") / "reports.csv", report((0, 60)))
    s3.upload_file(str(table), "doctor", "reports.csv")
    return endpoint


@pytest.fixture
def ready(emulator: Emulator, administrator: None, store: str) -> Emulator:
    """A cluster on which all checks pass."""
    labels = {"katib.kubeflow.org/metrics-collector-injection": "enabled"}
    emulator.put("Namespace", namespace(**labels))
    emulator.put("Secret", secret(store))
    emulator.put("ConfigMap", {"apiVersion": "v1", "metadata": {"name": "kfp-launcher"}, "data": LAUNCHER})
    emulator.put("ServiceAccount", {"apiVersion": "v1", "metadata": {"name": ACCOUNT}})
    for controller in CONTROLLERS:
        emulator.put("Deployment", controller)
    return emulator


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """Checks that the command prints, by name."""
    found: dict[str, Check] = {}
    original = doctor_command.report

    def report_and_keep(checks: list[Check]) -> None:
        found.update({check.name: check for check in checks})
        original(checks)

    monkeypatch.setattr(doctor_command, "report", report_and_keep)
    return found
