"""Settings of the S3 store: the client options that variables give, and the errors for invalid values."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from container_component_src.errors import InputError
from container_component_src.s3_settings import PATIENCE_SECONDS, patience, s3_options, use_settings

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("environment", "endpoint", "expected"),
    [
        ({}, "", None),
        ({"S3_ENDPOINT": "minio:9000"}, "", "https://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "false"}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": " No "}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "1"}, "", "https://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": ""}, "", "https://minio:9000"),
        ({"S3_ENDPOINT": "http://minio:9000", "S3_USE_HTTPS": "true"}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "https://minio:9000", "S3_USE_HTTPS": "false"}, "", "https://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "off"}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "F"}, "", "http://minio:9000"),
        ({"S3_ENDPOINT": "minio:9000/", "S3_USE_HTTPS": "on"}, "", "https://minio:9000"),
        ({"S3_ENDPOINT": "HTTP://minio:9000//"}, "", "HTTP://minio:9000"),
        ({"S3_ENDPOINT": "http://minio:9000/s3/"}, "", "http://minio:9000/s3"),
        ({"S3_ENDPOINT": "[::1]:9000"}, "", "https://[::1]:9000"),
        ({"S3_ENDPOINT": "http://[2001:db8::1]"}, "", "http://[2001:db8::1]"),
        ({"S3_ENDPOINT": "minio:9000"}, "other:1", "https://other:1"),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "false"}, "https://other:1", "https://other:1"),
    ],
)
def test_endpoint(environment: dict[str, str], endpoint: str, expected: str | None) -> None:
    assert s3_options(environment, endpoint)["endpoint_url"] == expected


@pytest.mark.parametrize(
    ("environment", "verify"),
    [
        ({}, True),
        ({"S3_VERIFY_SSL": "TRUE"}, True),
        ({"S3_VERIFY_SSL": "false"}, False),
        ({"S3_VERIFY_SSL": "0", "AWS_CA_BUNDLE": "absent.pem", "S3_CA_BUNDLE": "damaged"}, False),
        ({"S3_CA_BUNDLE": "", "AWS_CA_BUNDLE": ""}, True),
    ],
)
def test_tls_is_verified_by_default(environment: dict[str, str], verify: bool | str) -> None:
    assert s3_options(environment)["client_kwargs"]["verify"] == verify


@pytest.mark.parametrize("name", ["S3_USE_HTTPS", "S3_VERIFY_SSL"])
@pytest.mark.parametrize("value", ["maybe", "2", "-"])
def test_invalid_boolean(name: str, value: str) -> None:
    with pytest.raises(InputError, match=name):
        s3_options({name: value, "S3_ENDPOINT": "minio:9000"})


def test_keys_token_and_region() -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
    options = s3_options(dict(zip(names, "abcd", strict=True)))
    assert (options["key"], options["secret"], options["token"]) == ("a", "b", "c")
    assert options["client_kwargs"]["region_name"] == "d"
    empty = s3_options(dict.fromkeys(names, ""))  # a Secret may hold empty keys
    assert (empty["key"], empty["secret"], empty["token"]) == (None, None, None)
    assert empty["client_kwargs"]["region_name"] == "us-east-1"


@pytest.mark.parametrize("value", ["minio:9000\n", " minio:9000", '"minio:9000"', "'minio:9000'"])
@pytest.mark.parametrize(
    "name", ["S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"]
)
def test_whitespace_and_quotes_around_a_value(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"^environment variable {name} has ") as caught:
        s3_options({name: value})
    assert value.strip() not in str(caught.value)  # may be secret


@pytest.mark.parametrize(
    "endpoint",
    [
        *(
            "http://",
            "ftp://minio",
            "minio:port",
            "minio:99999",
            "min io:9000",
            "https://:9000",
            "minio:0",
            "s3://minio",
        ),
        *("http//minio:9000", "http:/minio:9000", "https:minio:9000", "http://minio:9000?a=b", "minio:9000#a", "::1"),
        *("[::1", "http://[1.2.3.4]:9000", "mínio:9000", "minio_1:9000", "-minio:9000", "a" * 300, "a" * 63 + "_", "?"),
    ],
)
def test_invalid_endpoint(endpoint: str) -> None:
    with pytest.raises(InputError, match="S3_ENDPOINT="):
        s3_options({"S3_ENDPOINT": endpoint})
    with pytest.raises(InputError, match="--minio-endpoint="):
        s3_options({"S3_ENDPOINT": "minio:9000"}, endpoint)


@pytest.mark.parametrize("endpoint", ["me:sEcReT@minio:9000", "http://me:sEcReT@minio:9000", "https://sEcReT@minio"])
def test_login_in_an_endpoint_is_refused_and_not_shown(endpoint: str) -> None:
    for environment, argument in (({"S3_ENDPOINT": endpoint}, ""), ({}, endpoint)):
        with pytest.raises(InputError, match="contains a login") as caught:
            s3_options(environment, argument)
        assert "sEcReT" not in str(caught.value)


@pytest.mark.parametrize("value", ["sEc\nReT", "sEc\rReT", "sEc ReT", "sEcReTé", "sEcReT\0"])
@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"]
)
def test_characters_that_no_header_can_have(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"environment variable {name} has a character") as caught:
        s3_options({name: value})
    assert "ReT" not in str(caught.value)


@pytest.mark.parametrize("region", ["eu_central", "-", "eu-central-", "a" * 64])
def test_invalid_region(region: str) -> None:
    with pytest.raises(InputError, match=r"AWS_DEFAULT_REGION=.* is not a region"):
        s3_options({"AWS_DEFAULT_REGION": region})


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    options = s3_options({"AWS_CA_BUNDLE": "~/ca.pem"})
    assert options["client_kwargs"]["verify"] == str(tmp_path / "ca.pem")


def test_certificates_as_text_are_written_to_a_private_temporary_file(tmp_path: Path) -> None:
    text = trustme.CA().cert_pem.bytes().decode()
    program = (
        "import os, sys; from container_component_src.s3_settings import s3_options;"
        "path = s3_options(os.environ)['client_kwargs']['verify'];"
        "assert s3_options(os.environ)['client_kwargs']['verify'] == path;"
        "assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0;"
        "print(path, open(path).read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={"S3_CA_BUNDLE": text, "TMPDIR": str(tmp_path), "AWS_CA_BUNDLE": "absent.pem"},
        check=True,
        capture_output=True,
        text=True,
    )
    path, _, content = done.stdout.partition(" ")
    assert Path(path).is_relative_to(tmp_path)
    assert content.strip() == text.strip()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["S3_CA_BUNDLE", "AWS_CA_BUNDLE"])
@pytest.mark.parametrize("value", ["absent.pem", "/dev/zero", "-----BEGIN CERTIFICATE-----\nabc"])
def test_invalid_certificates(name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"(?s)environment variable {name}.*: no certificates found"):
        s3_options({name: value})


def test_retry_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert s3_options({})["patience"] == PATIENCE_SECONDS
    assert s3_options({"S3_RETRY_SECONDS": "0"})["patience"] == 0
    monkeypatch.setenv("S3_RETRY_SECONDS", "7.5")
    assert s3_options()["patience"] == 7.5
    with patience(2):
        assert s3_options()["patience"] == 2
    assert s3_options()["patience"] == 7.5
    for text in ("-1", "soon", "inf", "nan"):
        with pytest.raises(InputError, match="S3_RETRY_SECONDS"):
            s3_options({"S3_RETRY_SECONDS": text})


def test_settings_of_a_block_replace_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "own")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "own")
    monkeypatch.setenv("S3_RETRY_SECONDS", "7.5")
    before = dict(os.environ)
    with use_settings({"AWS_ACCESS_KEY_ID": "other", "S3_ENDPOINT": "minio:9000"}), patience(2):
        options = s3_options()
        assert os.environ == before
    assert (options["key"], options["token"], options["endpoint_url"]) == ("other", None, "https://minio:9000")
    assert options["patience"] == 2
    with use_settings({}):
        options = s3_options()
    assert (options["key"], options["patience"]) == (None, 7.5)
    assert s3_options()["key"] == "own"
