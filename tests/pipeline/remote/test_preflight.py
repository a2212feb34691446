"""Preflight outside of the cluster, and in a notebook whose pod can read the Secret of the steps."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.maintenance import pod_checks
from container_component_src.maintenance.checks import Check
from container_component_src.steps.shared import PodSettings
from pipeline.remote import submit
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, STEPS, Emulator, running
from tests.maintenance.kubelet import ENDS_WELL, playing_kubelet
from tests.pipeline.remote.command import Command
from tests.pipeline.remote.conftest import LOGIN, inputs
from tests.pipeline.remote.gateways import PROFILE, S3_KEY, TOKEN
from tests.pipeline.remote.platform_server import Platform

DOCTOR = f"`main.py doctor --backend kubernetes --namespace {NAMESPACE}`"
PULLING = "pulling registry.example.org/columbus-eclss-ad:1.0 on the cluster, which may take 15 minutes\n"
ARGUMENTS = ("--image-tag", "1.0", *inputs("s3://preflight/archives", "s3://preflight/reports.csv"))


@pytest.fixture
def cluster() -> Iterator[Emulator]:
    with running() as api:
        yield api


@pytest.fixture
def notebook(platform: Platform, cluster: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of a pod with a token for pipelines and all rights in its namespace."""
    monkeypatch.setattr(pod_checks, "POLL_INTERVAL", 0.1)
    platform.api.members = {"user@example.com": {NAMESPACE: "owner", PROFILE: "owner"}}
    (tmp_path / "token").write_text(TOKEN)
    return {
        "KF_PIPELINES_SA_TOKEN_PATH": str(tmp_path / "token"),
        "KF_PIPELINES_ENDPOINT": platform.endpoint,
        "KUBEFLOW_NAMESPACE": NAMESPACE,
        "KUBECONFIG": str(cluster.kubeconfig(tmp_path / "kubeconfig", ADMINISTRATOR)),
    }


def put_secret(cluster: Emulator, values: dict[str, str]) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    cluster.put("Secret", {"metadata": {"name": "s3creds"}, "data": data})


def test_every_image_of_the_run_is_pulled(
    cluster: Emulator,
    notebook: dict[str, str],
    storage: dict[str, str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_secret(cluster, {**storage, "S3_USE_HTTPS": "false", "S3_VERIFY_SSL": "true"})

    def pulled(pods: PodSettings) -> Check:
        return Check("image pull", True, f"{pods.image} with {pods.image_pull_secret}")

    monkeypatch.setattr(submit, "check_pullable", pulled)
    config = tmp_path / "config.toml"
    names = '[paths]\narchives = "a"\nreports = "r"\n[image]\nrepository = "r.io/columbus"\n'
    names += 'pull_secret = "login"\ngpu_repository = "r.io/columbus-cuda"\n'
    config.write_text(names + '[resources]\ntraining = { cpu = "4", memory = "8Gi", gpus = 1 }\n')
    told = command(*ARGUMENTS, "--config", str(config), **notebook)
    assert told.code == 0, told.error
    assert (
        "ok: image pull: r.io/columbus:1.0 with login\nok: image pull: r.io/columbus-cuda:1.0 with login\n" in told.out
    )


@pytest.mark.parametrize("what", ["", "--upload"])
def test_image_without_a_registry_is_not_submitted(
    what: str,
    platform: Platform,
    cluster: Emulator,
    notebook: dict[str, str],
    storage: dict[str, str],
    command: Command,
) -> None:
    put_secret(cluster, {**storage, "S3_USE_HTTPS": "false", "S3_VERIFY_SSL": "true"})
    shipped = Path(__file__).resolve().parents[3] / "config.toml"
    told = command(*ARGUMENTS, *what.split(), "--config", str(shipped), **notebook)
    assert (told.code, platform.api.runs, platform.api.versions) == (1, [], [])
    assert "failed: registry: columbus-eclss-ad:1.0 names no registry" in told.error
    assert cluster.objects("Pod") == {}  # nothing was pulled


def test_inputs_are_checked_with_the_keys_of_the_steps(
    platform: Platform, cluster: Emulator, notebook: dict[str, str], storage: dict[str, str], command: Command
) -> None:
    put_secret(cluster, {**storage, "S3_USE_HTTPS": "false", "S3_VERIFY_SSL": "true"})
    with playing_kubelet(cluster, ENDS_WELL):
        told = command(*ARGUMENTS, **notebook, S3_ENDPOINT="http://127.0.0.1:9")
    assert (told.code, told.error) == (0, PULLING)
    assert "ok: image pull: registry.example.org/columbus-eclss-ad:1.0 was pulled\n" in told.out
    assert "ok: Secret s3creds: keys AWS_ACCESS_KEY_ID, " in told.out
    assert "; the inputs are checked with them\n" in told.out
    assert f"ok: S3 endpoint: {storage['S3_ENDPOINT']}" in told.out
    assert len(platform.api.runs) == 1


def test_data_root_is_checked_without_the_settings_of_the_notebook(
    cluster: Emulator, notebook: dict[str, str], storage: dict[str, str], command: Command
) -> None:
    put_secret(cluster, storage)
    data_root = ("--param", "data_root=s3://preflight/runs")
    with playing_kubelet(cluster, ENDS_WELL):
        told = command(*ARGUMENTS, *data_root, **notebook, AWS_SESSION_TOKEN="'of the notebook'")
    assert (told.code, told.error) == (0, PULLING)
    assert "ok: data root: s3://preflight/runs: new, the first run marks it" in told.out


def test_missing_secret_gives_its_name_namespace_and_the_doctor_command(
    platform: Platform, notebook: dict[str, str], storage: dict[str, str], command: Command
) -> None:
    told = command(*ARGUMENTS, **notebook, **storage)
    assert (told.code, platform.api.runs) == (1, [])
    assert told.error.splitlines() == [
        f"failed: Secret s3creds: not found, in namespace {NAMESPACE}; fill in and apply deploy/secret.example.yaml, "
        f"or name another under [platform]; {DOCTOR} checks it",
        "error: not submitted, because checks failed: Secret s3creds; fix the cause, or submit anyway with "
        "--skip-preflight",
    ]


def test_unreadable_secret_is_replaced_by_own_keys_with_a_warning(
    cluster: Emulator, notebook: dict[str, str], storage: dict[str, str], command: Command, tmp_path: Path
) -> None:
    put_secret(cluster, storage)
    notebook["KUBECONFIG"] = str(cluster.kubeconfig(tmp_path / "kubeconfig", STEPS))
    told = command(*ARGUMENTS, **notebook, **storage)
    assert told.code == 0, told.error
    assert told.error.startswith(f"{PULLING}warning: Secret s3creds: these credentials may not read it")
    assert (
        "ok: S3 keys: key, from the environment or .env; the steps use those of Secret s3creds in namespace "
        f"{NAMESPACE}, which {DOCTOR} checks\n"
    ) in told.out
    assert S3_KEY not in told.out + told.error


def test_successful_preflight_lists_its_checks(platform: Platform, storage: dict[str, str], command: Command) -> None:
    data = inputs("s3://preflight/archives", "s3://preflight/reports.csv")
    variables = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **storage}
    told = command("--remote", "--image-tag", "1.0", *data, **variables)
    assert told.code == 0
    assert told.error == (
        "warning: image pull: not checked whether the cluster can pull registry.example.org/columbus-eclss-ad:1.0, "
        "because the "
        "Kubernetes API is not accessible; set KUBECONFIG, or check that the image was pushed\n"
    )
    assert told.out.splitlines()[:-2] == [
        f"ok: platform: {platform.endpoint} answers and accepts the login",
        f"ok: namespace: {PROFILE} (from the dashboard; set KUBEFLOW_NAMESPACE for another one)",
        "ok: image: tag 1.0, from --image-tag",
        "ok: S3 keys: key, from the environment or .env; the steps use those of Secret s3creds in namespace "
        f"{PROFILE}, which `main.py doctor --backend kubernetes --namespace {PROFILE}` checks",
        f"ok: S3 endpoint: {storage['S3_ENDPOINT']}, no TLS",
        "ok: bucket preflight: 2 entries",
        "ok: archives: 1 archives",
        "ok: reports: 1 reported anomalies",
    ]
    assert len(platform.api.runs) == 1


def test_preflight_checks_the_data_root(
    platform: Platform, storage: dict[str, str], command: Command, tmp_path: Path
) -> None:
    data = inputs("s3://preflight/archives", "s3://preflight/reports.csv")
    variables = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **storage}

    def told(data_root: str) -> str:
        ended = command("--remote", *data, "--image-tag", "1.0", "--param", f"data_root={data_root}", **variables)
        return ended.out if ended.code == 0 else ended.error

    assert "ok: data root: s3://preflight/runs: new, the first run marks it" in told("s3://preflight/runs")
    assert "data_root" in told("s3://preflight")
    assert "not submitted, because checks failed: bucket absent-bucket" in told("s3://absent-bucket/runs")
    assert "pods cannot reach this machine's files" in told(str(tmp_path))
    assert len(platform.api.runs) == 1


@pytest.mark.parametrize(
    ("archives", "reports", "message"),
    [
        ("s3://preflight/nothing", "s3://preflight/reports.csv", "not submitted, because checks failed: archives"),
        ("s3://preflight/archives", "s3://preflight/absent.csv", "not submitted, because checks failed: reports"),
        ("s3://absent/archives", "s3://preflight/reports.csv", "not submitted, because checks failed: bucket absent"),
        ("local_data", "s3://preflight/reports.csv", "local_data: pods cannot reach this machine's files"),
    ],
)
def test_preflight_finds_missing_inputs(
    platform: Platform, command: Command, storage: dict[str, str], archives: str, reports: str, message: str
) -> None:
    variables = {"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **storage}
    told = command("--remote", "--image-tag", "1.0", *inputs(archives, reports), **variables)
    assert told.code == 1
    assert message in told.error
    assert platform.api.runs == []


def test_preflight_needs_the_settings_of_the_object_storage(platform: Platform, command: Command) -> None:
    data = inputs("s3://preflight/archives", "s3://preflight/reports.csv")
    told = command("--remote", "--image-tag", "1.0", *data, KUBEFLOW_ENDPOINT=platform.endpoint, **LOGIN)
    assert (told.code, platform.api.runs) == (2, [])
    assert "S3_ENDPOINT (object storage" in told.error
    assert "skip the checks with --skip-preflight" in told.error
