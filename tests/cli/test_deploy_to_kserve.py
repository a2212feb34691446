import json
from pathlib import Path

import pytest
import yaml

from container_component_src.backends.kubernetes.serving_bundles import bundle_of
from container_component_src.backends.local import LocalBackend
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.main import main
from container_component_src.model.bundle_info import open_info
from tests.backends.kubernetes.deployments import deploy as deploy_on_cluster
from tests.backends.kubernetes.deployments import service
from tests.backends.kubernetes.kserve_controller import KServe
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.helpers import Invoke, assert_refused
from tests.serving.bundles import make_bundle, write_test_dataset
from tests.serving.deployment.registry_server import Registry, serving


@pytest.fixture
def executor_input(tmp_path: Path) -> str:
    return json.dumps(
        {
            "outputs": {
                "parameters": {"endpoint": {"outputFile": str(tmp_path / "out" / "endpoint")}},
                "outputFile": str(tmp_path / "out" / "executor_output.json"),
            }
        }
    )


def deploy(bundle: Path, test_data: Path | str, executor_input: str, *options: str) -> int:
    arguments = ["--bundle-path", str(bundle), "--test-df-path", str(test_data), "--service-name", "eclss", *options]
    arguments += ["--executor-input", executor_input, "--combined"]  # one process
    arguments += ["--deployments", str(bundle.parent / "deployments")]
    return main(["deploy_to_kserve", *arguments, "--backend", "local"])


@pytest.mark.slow
def test_a_deployed_service_is_published_and_registered(
    tmp_path: Path, executor_input: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "test")
    # A registry that is away costs a warning, and the next deployment registers the model.
    with serving(Registry()) as registry:
        pass
    assert deploy(tmp_path / "bundle", tmp_path / "test", executor_input, "--registry", registry.url) == 0
    assert "the deployment itself stands" in caplog.text
    with serving(Registry()) as registry:
        options = ("--registry", registry.url, "--commit", "c0ffee")
        assert deploy(tmp_path / "bundle", tmp_path / "test", executor_input, *options) == 0
    assert [item["name"] for item in registry.models] == ["eclss"]
    assert [item["name"] for item in registry.versions] == [open_info(str(tmp_path / "bundle")).version]
    assert [item["uri"] for item in registry.artifacts] == [str(tmp_path / "bundle")]
    url = (tmp_path / "out" / "endpoint").read_text()
    assert url.startswith("http://")
    assert url.endswith("/v1/models/eclss:predict")
    assert LocalBackend(tmp_path / "deployments").deployed("eclss").present


def test_the_previous_bundle_of_a_service_that_had_none_is_refused(tmp_path: Path, invoke: Invoke) -> None:
    place = ("--service-name", "eclss", "--deployments", tmp_path)
    assert_refused(invoke("deploy_to_kserve", "--bundle", "previous", *place), "service eclss has no previous bundle")


def test_the_previous_bundle_of_a_cluster_is_that_of_the_service(
    tmp_path: Path, invoke: Invoke, cluster: Cluster, emulator: Emulator, kserve: KServe, step: Step
) -> None:
    for model in ("one", "two"):
        deploy_on_cluster(cluster, step, service(model))
    place = ("--backend", "kubernetes", "--namespace", NAMESPACE, "--image", "image", "--service-name", "eclss")
    outcome = invoke("deploy_to_kserve", "--bundle", "previous", *place, "--dry-run")
    assert outcome.code == 0, outcome.stderr
    assert bundle_of(yaml.safe_load(outcome.stdout)) == "s3://models/one"


@pytest.mark.parametrize(
    ("bundle", "test_data", "message"),
    [
        ("bundle", "nothing", "nothing: no such dataset"),
        ("nothing", "", "nothing: no model bundle"),
        ("bundle", "other", "it lacks 'fan_speed'"),
    ],
)
def test_bad_input_publishes_nothing(
    bundle: str, test_data: str, message: str, tmp_path: Path, executor_input: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_bundle(tmp_path / "bundle")
    write_test_dataset(tmp_path / "other", channels=("cabin_pressure", "coolant_temperature", "pump"))
    assert deploy(tmp_path / bundle, tmp_path / test_data if test_data else "", executor_input) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


CLUSTER = ("--namespace", "telemetry", "--image", "registry.example.org/eclss:1.0")


def test_a_dry_run_prints_the_manifest_and_asks_neither_cluster_nor_store(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")  # where no store is, and there are no credentials either
    outcome = invoke(
        *("deploy_to_kserve", "--bundle-path", "s3://bucket/bundle", "--service-name", "eclss", *CLUSTER, "--dry-run"),
        *("--deployment-mode", "Serverless", "--min-replicas", "0", "--canary-traffic-percent", "5.0", "--combined"),
    )
    assert outcome.code == 0, outcome.stderr
    printed = yaml.safe_load(outcome.stdout)
    assert printed["kind"] == "InferenceService"
    assert printed["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Serverless"
    assert printed["spec"]["predictor"]["minReplicas"] == 0
    assert printed["spec"]["predictor"]["canaryTrafficPercent"] == 5
    assert "transformer" not in printed["spec"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-replicas", "0"], "--min-replicas 0 needs --deployment-mode Knative"),
        (["--canary-traffic-percent", "5"], "--canary-traffic-percent needs --deployment-mode Knative"),
        (["--backend", "kubernetes", *CLUSTER], "pods cannot reach this machine's files; give an s3:// address"),
        (["--dry-run", "--image", "image"], "needs --namespace"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], message: str, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path)))
    make_bundle(tmp_path / "bundle")
    outcome = invoke("deploy_to_kserve", "--bundle-path", tmp_path / "bundle", *options)
    assert outcome.code == 2
    (line,) = outcome.stderr.splitlines()
    assert message in line


def write_kubeconfig(folder: Path) -> Path:
    """Access to a cluster that nobody may ask anything."""
    server = {"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "none", "context": {"cluster": "none", "user": "none"}}
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "none", "clusters": [server],
                "contexts": [context], "users": [{"name": "none", "user": {"token": "none"}}],
            }
        )
    )  # fmt: skip
    return path
