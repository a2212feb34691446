from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from container_component_src.errors import InputError
from pipeline.remote.settings import (
    PURPOSES,
    Login,
    Trust,
    namespace_of,
    normalise_endpoint,
    read_environment,
    remote_settings,
    s3_environment,
)

ROOT = Path(__file__).resolve().parents[3]
COMPLETE = {
    "KUBEFLOW_ENDPOINT": "https://kubeflow.example.com",
    "KUBEFLOW_USERNAME": "user@example.com",
    "KUBEFLOW_PASSWORD": "pass-word",
}
STORAGE = {"S3_ENDPOINT": "localhost:9000", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("KUBEFLOW_USERNAME=filed\nKUBEFLOW_NAMESPACE=team\nKUBEFLOW_PASSWORD=filed\n")
    values = read_environment(file, {"KUBEFLOW_USERNAME": "own", "KUBEFLOW_NAMESPACE": ""})
    assert values == {"KUBEFLOW_USERNAME": "own", "KUBEFLOW_NAMESPACE": "team", "KUBEFLOW_PASSWORD": "filed"}


def test_file_may_be_absent(tmp_path: Path) -> None:
    assert read_environment(tmp_path / ".env", {"A": "1"}) == {"A": "1"}


def test_password_is_taken_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HOME=/h\nKUBEFLOW_PASSWORD=a$HOME${HOME}#b=c\n")
    assert read_environment(tmp_path / ".env", {})["KUBEFLOW_PASSWORD"] == "a$HOME${HOME}#b=c"


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KUBEFLOW_PASSWORD=\xff\xfe")
    with pytest.raises(InputError, match=r"\.env: not readable"):
        read_environment(tmp_path / ".env", {})


@pytest.mark.parametrize("name", COMPLETE)
def test_missing_variable_is_named_with_its_purpose(name: str) -> None:
    values = {key: value for key, value in COMPLETE.items() if key != name}
    with pytest.raises(InputError) as caught:
        remote_settings(values, Trust())
    assert f"{name} ({PURPOSES[name]})" in str(caught.value)
    assert not [other for other in values if f"{other} (" in str(caught.value)]


def test_all_missing_variables_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        remote_settings({}, Trust())
    assert all(name in str(caught.value) for name in COMPLETE)


@pytest.mark.parametrize("name", STORAGE)
def test_missing_setting_of_the_storage_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} \(the object storage"):
        s3_environment({key: value for key, value in STORAGE.items() if key != name})


def test_storage_gets_its_own_settings_alone() -> None:
    optional = {
        "S3_VERIFY_SSL": "false",
        "AWS_SESSION_TOKEN": "t",
        "AWS_DEFAULT_REGION": "r",
        "AWS_CA_BUNDLE": "ca.pem",
    }
    assert s3_environment({**COMPLETE, **STORAGE, **optional}) == {**STORAGE, **optional}


def test_token_needs_no_password_but_a_namespace() -> None:
    values = {"KUBEFLOW_ENDPOINT": "host", "KUBEFLOW_TOKEN": "abc"}
    with pytest.raises(InputError, match="KUBEFLOW_NAMESPACE"):
        remote_settings(values, Trust())
    settings = remote_settings({**values, "KUBEFLOW_NAMESPACE": "team"}, Trust())
    assert settings.login == Login(token=SecretStr("abc"))
    assert settings.namespace == "team"


def test_namespace_is_the_given_one_or_follows_from_the_user() -> None:
    assert remote_settings(COMPLETE, Trust()).namespace == "user"
    assert remote_settings({**COMPLETE, "KUBEFLOW_NAMESPACE": "team"}, Trust()).namespace == "team"


@pytest.mark.parametrize(
    ("username", "namespace"),
    [("user@example.com", "user"), ("Anna.Maria_X@example.com", "anna-maria-x"), ("ldapuser", "ldapuser")],
)
def test_namespace_of_a_user(username: str, namespace: str) -> None:
    assert namespace_of(username) == namespace


@given(st.text(max_size=100))
def test_derived_namespace_is_a_dns_label_or_an_error(username: str) -> None:
    try:
        namespace = namespace_of(username)
    except InputError:
        return
    assert 0 < len(namespace) <= 63
    assert set(namespace) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert namespace.strip("-") == namespace


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://host.example", "https://host.example"),
        ("host.example/", "https://host.example"),
        ("http://localhost:8080/pipeline/", "http://localhost:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_endpoint_is_scheme_and_host(text: str, endpoint: str) -> None:
    assert normalise_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text", ["https://user:hunter2@host", "ftp://host", "https://host/other?a=hunter2", "https://"]
)
def test_strange_endpoint_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError, match="KUBEFLOW_ENDPOINT") as caught:
        normalise_endpoint(text)
    assert "hunter2" not in str(caught.value)


def test_no_secret_in_the_repr() -> None:
    assert "pass-word" not in repr(remote_settings(COMPLETE, Trust()))
    assert "tok" not in repr(Login(token=SecretStr("tok-1"))).replace("token", "")


def test_trust_is_consistent(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    with pytest.raises(InputError, match="no such file"):
        Trust(bundle)
    bundle.touch()
    with pytest.raises(InputError, match="contradict"):
        Trust(bundle, verify=False)


def test_example_names_every_variable() -> None:
    text = (ROOT / ".env.example").read_text()
    named = set(dotenv_values(stream=None, dotenv_path=ROOT / ".env.example"))
    assert {*COMPLETE, *STORAGE, "S3_USE_HTTPS", "S3_VERIFY_SSL"} == named
    assert all(f"# {name}=" in text for name in ("KUBEFLOW_TOKEN", "KUBEFLOW_NAMESPACE", "KUBEFLOW_CONNECTOR"))
