"""Workspaces in a notebook and outside of the cluster."""

import json
from pathlib import Path

import pytest
import yaml

from container_component_src.cluster import step
from container_component_src.errors import InputError
from pipeline.login.errors import PlatformError
from pipeline.login.settings import Trust, remote_settings
from pipeline.remote import workspace
from pipeline.remote.client import NOTEBOOK_FIX, TOKEN_PATH, TOKEN_PATH_VARIABLE, proxy_for
from pipeline.remote.workspace import Workspace, open_from_notebook, open_remote
from tests.pipeline.remote.conftest import LOGIN
from tests.pipeline.remote.gateways import PROFILE, TOKEN, USERNAME
from tests.pipeline.remote.platform_server import Platform


@pytest.fixture
def pod(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of a pod in a profile's namespace, with a token for the API."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text(f"{PROFILE}\n")
    monkeypatch.setattr(step, "NAMESPACE_FILE", tmp_path / "namespace")
    return {"KF_PIPELINES_SA_TOKEN_PATH": str(tmp_path / "token"), "KF_PIPELINES_ENDPOINT": platform.endpoint}


def test_pod_uses_its_own_token_and_namespace(platform: Platform, pod: dict[str, str]) -> None:
    opened = open_from_notebook(pod)
    assert (opened.namespace, opened.owner, opened.namespace_source) == (PROFILE, PROFILE, "of this pod")
    assert opened.run_url("1") == f"/_/pipeline/?ns={PROFILE}#/runs/details/1"
    assert platform.gateway.logins == 0


def test_pod_may_name_another_namespace_and_the_address_of_the_pages(pod: dict[str, str]) -> None:
    pages = {"KF_PIPELINES_UI_ENDPOINT": "https://kubeflow.example.com/_/pipeline"}
    opened = open_from_notebook({**pod, **pages, "KUBEFLOW_NAMESPACE": "team"})
    assert opened.run_url("1") == "https://kubeflow.example.com/_/pipeline/?ns=team#/runs/details/1"


def test_pod_that_knows_the_address_of_the_platform_prints_full_links(pod: dict[str, str]) -> None:
    opened = open_from_notebook({**pod, "KUBEFLOW_ENDPOINT": "kubeflow.example.com/"})
    assert opened.run_url("1") == f"https://kubeflow.example.com/_/pipeline/?ns={PROFILE}#/runs/details/1"


def test_pod_may_use_kubernetes(pod: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    assert open_from_notebook(pod).cluster is None
    config = {"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}
    users = {
        "clusters": [{"name": "a", "cluster": {"server": "http://localhost"}}],
        "users": [{"name": "a", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps({**config, **users}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    cluster = open_from_notebook(pod).cluster
    assert cluster is not None
    assert cluster.namespace == PROFILE


def test_token_is_read_again_for_each_request(pod: dict[str, str], tmp_path: Path) -> None:
    opened = open_from_notebook(pod)
    (tmp_path / "token").write_text("outdated")
    with pytest.raises(PlatformError, match=r"API does not accept the login \(401, .*\); apply deploy/poddefault.yaml"):
        opened.client.list_experiments(namespace=PROFILE)
    (tmp_path / "token").write_text(TOKEN)
    assert opened.client.list_experiments(namespace=PROFILE).total_size is None


def test_missing_token_or_namespace_of_a_pod_is_named(pod: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"namespace 'elsewhere' \(KUBEFLOW_NAMESPACE\).*; set KUBEFLOW_NAMESPACE$"):
        open_from_notebook({**pod, "KUBEFLOW_NAMESPACE": "elsewhere"})
    (tmp_path / "namespace").unlink()
    with pytest.raises(InputError, match="unknown namespace of this pod"):
        open_from_notebook(pod)
    (tmp_path / "token").unlink()
    with pytest.raises(
        InputError,
        match=r"apply deploy/poddefault\.yaml .* 'Allow access to Kubeflow Pipelines'",
    ):
        open_from_notebook(pod)


def test_proxy_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "internal.example.com")
    assert proxy_for("https://kubeflow.example.com") == "http://proxy.example.com:3128"
    assert proxy_for("https://internal.example.com") is None
    assert proxy_for("http://kubeflow.example.com") is None


@pytest.mark.parametrize(
    "proxy", ["http://user:hunter2/x@proxy:3128", "http://u:hun ter2@proxy", "socks5://u:hunter2@a"]
)
def test_invalid_proxy_is_not_repeated(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(InputError, match="the environment's proxy for https is not an address") as caught:
        proxy_for("https://kubeflow.example.com")
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_proxy_may_have_a_login_and_no_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "user:pass%2Fword@proxy.example.com:3128")
    assert proxy_for("https://kubeflow.example.com") == "http://user:pass%2Fword@proxy.example.com:3128"


def enter(platform: Platform, **values: str) -> Workspace:
    """Log in from outside; KUBEFLOW_NAMESPACE is set only if it is given."""
    return open_remote(remote_settings({"KUBEFLOW_ENDPOINT": platform.endpoint, **LOGIN, **values}, Trust()))


def test_namespace_comes_from_the_dashboard(platform: Platform) -> None:
    assert enter(platform).namespace == PROFILE  # `team` belongs to another user
    platform.api.members[USERNAME] = {"team": "contributor"}
    assert enter(platform).namespace == "team"


def test_namespace_comes_from_the_address_of_a_page(platform: Platform) -> None:
    opened = enter(platform, KUBEFLOW_ENDPOINT=f"{platform.endpoint}/_/pipeline/?ns=team#/runs")
    assert (opened.namespace, opened.namespace_source) == ("team", "from KUBEFLOW_ENDPOINT")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"a": "owner", "b": "owner", "c": "viewer"}, "this user has several namespaces; .* to one of a, b, c$"),
        ({}, "lists no namespace of this user; set KUBEFLOW_NAMESPACE$"),
    ],
)
def test_ambiguous_namespace_must_be_set(platform: Platform, roles: dict[str, str], message: str) -> None:
    platform.api.members[USERNAME] = roles
    with pytest.raises(InputError, match=message):
        enter(platform)


@pytest.mark.parametrize("fault", [404, "web page"])
def test_namespace_must_be_set_without_a_dashboard(platform: Platform, fault: int | str) -> None:
    platform.faults["/api/workgroup"] = [fault]
    with pytest.raises(InputError, match=r"does not list the namespaces of this user \(.*\); set KUBEFLOW_NAMESPACE"):
        enter(platform)


def test_namespace_kubeflow_is_not_special(platform: Platform) -> None:
    # kfp's client treats this name as not given, and would call the API before the login.
    with pytest.raises(InputError, match=rf"'kubeflow' \(KUBEFLOW_NAMESPACE\).* to one of {PROFILE}, team$"):
        enter(platform, KUBEFLOW_NAMESPACE="kubeflow")
    asked = [path for _, path in platform.seen if "/apis/" in path]
    assert asked == ["/pipeline/apis/v2beta1/healthz", "/pipeline/apis/v2beta1/experiments"]
    platform.api.members[USERNAME]["kubeflow"] = "contributor"
    assert enter(platform, KUBEFLOW_NAMESPACE="kubeflow").owner == "kubeflow"


def test_single_user_platform_needs_no_namespace(platform: Platform) -> None:
    platform.api.multi_user = False
    opened = enter(platform)
    assert (opened.namespace, opened.owner) == ("kubeflow", None)


def test_start_of_the_api_server_is_waited_for(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "READY_PAUSE", 0.0)
    platform.api.ready_after = 3
    assert enter(platform).multi_user
    platform.api.ready_after = 100
    with pytest.raises(PlatformError, match="the API server of Kubeflow Pipelines is not ready; try again"):
        enter(platform)


def test_poddefault_mounts_the_token() -> None:
    text = (Path(__file__).resolve().parents[3] / "deploy" / "poddefault.yaml").read_text(encoding="utf-8")
    spec = yaml.safe_load(text)["spec"]
    (variable,), (volume,), (mount,) = spec["env"], spec["volumes"], spec["volumeMounts"]
    (source,) = volume["projected"]["sources"]
    assert (variable["name"], variable["value"]) == (TOKEN_PATH_VARIABLE, TOKEN_PATH)
    assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == TOKEN_PATH
    assert mount["name"] == volume["name"]
    assert source["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    assert spec["desc"] in NOTEBOOK_FIX
