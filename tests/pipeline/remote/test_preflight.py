"""What the preflight finds in a notebook, whose pod may read the Secret of the steps."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.maintenance import pod_checks
from tests.cluster.emulator import ADMINISTRATOR, NAMESPACE, STEPS, Emulator, running
from tests.maintenance.kubelet import ENDS_WELL, playing_kubelet
from tests.pipeline.remote.command import Command
from tests.pipeline.remote.gateways import PROFILE, S3_KEY, TOKEN
from tests.pipeline.remote.platform_server import Platform
from tests.pipeline.remote.test_submit import inputs

DOCTOR = f"`main.py doctor --backend kubernetes --namespace {NAMESPACE}`"
PULLING = "pulling columbus-eclss-ad:1.0 on the cluster, which may take 15 minutes\n"
ARGUMENTS = ("--image-tag", "1.0", *inputs("s3://preflight/archives", "s3://preflight/reports.csv"))


@pytest.fixture
def cluster() -> Iterator[Emulator]:
    with running() as api:
        yield api


@pytest.fixture
def notebook(platform: Platform, cluster: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a pod with a token for pipelines, whose account may do everything in its namespace."""
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


def test_inputs_are_looked_for_with_the_keys_of_the_steps(
    platform: Platform, cluster: Emulator, notebook: dict[str, str], storage: dict[str, str], command: Command
) -> None:
    put_secret(cluster, {**storage, "S3_USE_HTTPS": "false", "S3_VERIFY_SSL": "true"})
    with playing_kubelet(cluster, ENDS_WELL):
        told = command(*ARGUMENTS, **notebook, S3_ENDPOINT="http://127.0.0.1:9")
    assert (told.code, told.error) == (0, PULLING)
    assert "ok: image pull: columbus-eclss-ad:1.0 was pulled\n" in told.out
    assert "ok: Secret s3creds: keys AWS_ACCESS_KEY_ID, " in told.out
    assert "; the inputs are checked with them\n" in told.out
    assert f"ok: S3 endpoint: {storage['S3_ENDPOINT']}" in told.out
    assert len(platform.api.runs) == 1


def test_the_data_root_is_looked_at_without_the_settings_of_the_notebook(
    cluster: Emulator, notebook: dict[str, str], storage: dict[str, str], command: Command
) -> None:
    put_secret(cluster, storage)
    data_root = ("--param", "data_root=s3://preflight/runs")
    with playing_kubelet(cluster, ENDS_WELL):
        told = command(*ARGUMENTS, *data_root, **notebook, AWS_SESSION_TOKEN="'of the notebook'")
    assert (told.code, told.error) == (0, PULLING)
    assert "ok: data root: s3://preflight/runs: new, the first run marks it" in told.out


def test_missing_secret_names_secret_namespace_and_doctor(
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


def test_own_keys_are_said_to_be_that_where_the_secret_may_not_be_read(
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
