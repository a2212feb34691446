"""A notebook's pod, and what the way to a platform takes from its surroundings."""

from pathlib import Path

import pytest

from container_component_src.errors import InputError
from pipeline.remote import workspace
from pipeline.remote.client import proxy_for
from pipeline.remote.problems import PlatformError
from pipeline.remote.workspace import open_from_notebook
from tests.pipeline.remote.gateways import TOKEN
from tests.pipeline.remote.kfp_api import PROFILE
from tests.pipeline.remote.platform_server import Platform


@pytest.fixture
def pod(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a pod of a profile's namespace, with a token for the API."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text(f"{PROFILE}\n")
    monkeypatch.setattr(workspace, "NAMESPACE_FILE", tmp_path / "namespace")
    return {"KF_PIPELINES_SA_TOKEN_PATH": str(tmp_path / "token"), "KF_PIPELINES_ENDPOINT": platform.endpoint}


def test_pod_uses_its_own_token_and_namespace(platform: Platform, pod: dict[str, str]) -> None:
    opened = open_from_notebook(pod)
    assert (opened.namespace, opened.owner, opened.namespace_source) == (PROFILE, PROFILE, "that of this pod")
    assert opened.run_url("1") == f"/_/pipeline/?ns={PROFILE}#/runs/details/1"
    assert platform.gateway.logins == 0


def test_pod_may_name_another_namespace_and_the_address_of_the_pages(pod: dict[str, str]) -> None:
    pages = {"KF_PIPELINES_UI_ENDPOINT": "https://kubeflow.example.com/_/pipeline"}
    opened = open_from_notebook({**pod, **pages, "KUBEFLOW_NAMESPACE": "team"})
    assert opened.run_url("1") == "https://kubeflow.example.com/_/pipeline/?ns=team#/runs/details/1"


def test_token_is_read_anew_for_each_request(pod: dict[str, str], tmp_path: Path) -> None:
    opened = open_from_notebook(pod)
    (tmp_path / "token").write_text("outdated")
    with pytest.raises(PlatformError, match=r"login for the API \(401, .*\): apply deploy/poddefault.yaml"):
        opened.client.list_experiments(namespace=PROFILE)
    (tmp_path / "token").write_text(TOKEN)
    assert opened.client.list_experiments(namespace=PROFILE).total_size is None


def test_what_a_pod_lacks_is_named(pod: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"namespace 'elsewhere' \(KUBEFLOW_NAMESPACE\).*: set KUBEFLOW_NAMESPACE$"):
        open_from_notebook({**pod, "KUBEFLOW_NAMESPACE": "elsewhere"})
    (tmp_path / "namespace").unlink()
    with pytest.raises(InputError, match="the namespace of this pod is not known"):
        open_from_notebook(pod)
    (tmp_path / "token").unlink()
    with pytest.raises(
        InputError,
        match=r"apply deploy/poddefault\.yaml .* 'Allow access to Kubeflow Pipelines'",
    ):
        open_from_notebook(pod)


def test_api_is_reached_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "internal.example.com")
    assert proxy_for("https://kubeflow.example.com") == "http://proxy.example.com:3128"
    assert proxy_for("https://internal.example.com") is None
    assert proxy_for("http://kubeflow.example.com") is None
