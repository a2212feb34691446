from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr

from container_component_src.errors import InputError
from pipeline.login.settings import (
    PURPOSES,
    Login,
    Trust,
    namespace_of_page,
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


def test_environment_takes_precedence_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("KUBEFLOW_USERNAME=filed\nKUBEFLOW_NAMESPACE=team\nKUBEFLOW_PASSWORD=filed\n")
    values = read_environment(file, {"KUBEFLOW_USERNAME": "own", "KUBEFLOW_NAMESPACE": ""})
    assert values == {"KUBEFLOW_USERNAME": "own", "KUBEFLOW_NAMESPACE": "team", "KUBEFLOW_PASSWORD": "filed"}


def test_file_may_be_absent(tmp_path: Path) -> None:
    assert read_environment(tmp_path / ".env", {"A": "1"}) == {"A": "1"}


def test_password_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HOME=/h\nKUBEFLOW_PASSWORD=a$HOME${HOME}#b=c\n")
    assert read_environment(tmp_path / ".env", {})["KUBEFLOW_PASSWORD"] == "a$HOME${HOME}#b=c"


def test_binary_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KUBEFLOW_PASSWORD=\xff\xfe")
    with pytest.raises(InputError, match=r"\.env: byte 18 is not UTF-8"):
        read_environment(tmp_path / ".env", {})


def test_file_that_never_ends_is_rejected(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"\.env: not a regular file"):
        read_environment(tmp_path / ".env", {})


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfKUBEFLOW_USERNAME=me\r\nKUBEFLOW_NAMESPACE=team\r\n")
    assert read_environment(tmp_path / ".env", {}) == {"KUBEFLOW_USERNAME": "me", "KUBEFLOW_NAMESPACE": "team"}


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
    with pytest.raises(InputError, match=rf"{name} \(object storage"):
        s3_environment({key: value for key, value in STORAGE.items() if key != name})


def test_storage_gets_only_its_own_settings() -> None:
    optional = {
        "S3_VERIFY_SSL": "false",
        "AWS_SESSION_TOKEN": "t",
        "AWS_DEFAULT_REGION": "r",
        "AWS_CA_BUNDLE": "ca.pem",
    }
    assert s3_environment({**COMPLETE, **STORAGE, **optional}) == {**STORAGE, **optional}


def test_token_needs_no_password() -> None:
    settings = remote_settings({"KUBEFLOW_ENDPOINT": "host", "KUBEFLOW_TOKEN": " abc\r\n"}, Trust())
    assert settings.login == Login(token=SecretStr("abc"))


@pytest.mark.parametrize("inside", ["\n", "\r\n", " ", "\u00e9"])
def test_invalid_token_is_rejected_without_repeating_it(inside: str) -> None:
    with pytest.raises(InputError, match=r"^KUBEFLOW_TOKEN: contains whitespace") as caught:
        remote_settings({"KUBEFLOW_ENDPOINT": "host", "KUBEFLOW_TOKEN": f"abc{inside}hunter2"}, Trust())
    assert "hunter2" not in str(caught.value)


def test_windows_line_endings_are_removed() -> None:
    values = read_environment(None, {name: f"{value}\r" for name, value in COMPLETE.items()})
    assert values == COMPLETE


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_invalid_key_is_rejected_without_repeating_it(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: contains whitespace") as caught:
        s3_environment({**STORAGE, name: "key\nhunter2"})
    assert "hunter2" not in str(caught.value)


def test_storage_address_with_a_login_is_rejected_without_repeating_it() -> None:
    with pytest.raises(InputError, match="S3_ENDPOINT contains a login") as caught:
        s3_environment({**STORAGE, "S3_ENDPOINT": "http://key:hunter2@localhost:9000"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "namespace", "source"),
    [
        ({"KUBEFLOW_NAMESPACE": "team"}, "team", "KUBEFLOW_NAMESPACE"),
        ({"KUBEFLOW_ENDPOINT": "https://host/_/pipeline/?ns=shared#/runs"}, "shared", "from KUBEFLOW_ENDPOINT"),
        ({"KUBEFLOW_ENDPOINT": "https://host/?ns=shared", "KUBEFLOW_NAMESPACE": "team"}, "team", "KUBEFLOW_NAMESPACE"),
        ({}, "", "from KUBEFLOW_ENDPOINT"),
    ],
)
def test_namespace_is_the_named_one_or_that_of_the_page(values: dict[str, str], namespace: str, source: str) -> None:
    settings = remote_settings({**COMPLETE, **values}, Trust())
    assert (settings.namespace, settings.namespace_source) == (namespace, source)


@pytest.mark.parametrize(
    "text", ["host", "host/?ns=", "host/?ns=A_b", "host/?other=team", "host/_/pipeline/#/?ns=team"]
)
def test_page_address_may_have_no_namespace(text: str) -> None:
    assert namespace_of_page(text) == ""


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://host.example", "https://host.example"),
        ("host.example/", "https://host.example"),
        ("http://localhost:8080/pipeline/", "http://localhost:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://host.example/_/pipeline/?ns=team#/experiments", "https://host.example"),
        ("https://host.example/?ns=team", "https://host.example"),
        (" host.example/pipeline/apis/v2beta1/healthz\n", "https://host.example"),
    ],
)
def test_endpoint_is_scheme_and_host(text: str, endpoint: str) -> None:
    assert normalise_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@host",
        "ftp://host",
        "https://host/other?a=hunter2",
        "https://user:hunter2@host/_/pipeline/?ns=a",
        "https://",
    ],
)
def test_invalid_endpoint_is_rejected_without_repeating_it(text: str) -> None:
    with pytest.raises(InputError, match="KUBEFLOW_ENDPOINT") as caught:
        normalise_endpoint(text)
    assert "hunter2" not in str(caught.value)


def test_repr_contains_no_secret() -> None:
    assert "pass-word" not in repr(remote_settings(COMPLETE, Trust()))
    assert "tok" not in repr(Login(token=SecretStr("tok-1"))).replace("token", "")


def test_contradictory_trust_is_rejected(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    with pytest.raises(InputError, match="no such file"):
        Trust(bundle)
    bundle.touch()
    with pytest.raises(InputError, match="exclude each other"):
        Trust(bundle, verify=False)


def test_example_names_every_variable() -> None:
    text = (ROOT / ".env.example").read_text()
    named = set(dotenv_values(stream=None, dotenv_path=ROOT / ".env.example"))
    assert {*COMPLETE, *STORAGE, "S3_USE_HTTPS", "S3_VERIFY_SSL"} == named
    assert all(f"# {name}=" in text for name in ("KUBEFLOW_TOKEN", "KUBEFLOW_NAMESPACE", "KUBEFLOW_CONNECTOR"))
