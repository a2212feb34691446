"""Settings of the S3 store: names of the variables, checks of their values, and the options of the client.

The settings come from environment variables: `S3_ENDPOINT` (with or without scheme), `S3_USE_HTTPS`, `S3_VERIFY_SSL`,
`S3_CA_BUNDLE` (certificates as PEM text; `AWS_CA_BUNDLE` is the path of such a file), `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_DEFAULT_REGION`, and `S3_RETRY_SECONDS`, for which requests to an
unavailable store are retried.
"""

import atexit
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from container_component_src.errors import InputError
from container_component_src.files import read_regular
from container_component_src.names import is_address
from container_component_src.scratch import scratch_directory
from container_component_src.values import in_home, shown

AWS_ENDPOINT = "https://s3.amazonaws.com"  # used if no endpoint is set
CA_BUNDLE = "S3_CA_BUNDLE"
_TRUE = ("1", "true", "t", "yes", "y", "on", "")
_FALSE = ("0", "false", "f", "no", "n", "off")
PATIENCE = "S3_RETRY_SECONDS"
# Also the keys of the Secret that sets these variables on a cluster.
S3_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "S3_ENDPOINT",
    "S3_USE_HTTPS",
    "S3_VERIFY_SSL",
    CA_BUNDLE,
)
PATIENCE_SECONDS = 600.0  # a store's pod that moves to another node needs minutes, mostly for its volume
QUICK_SECONDS = 3.0  # enough to reopen a connection that was closed between two requests

_VISIBLE = re.compile(r"[\x21-\x7e]*")
_REGION = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_TEXTS = tuple(name for name in S3_ENVIRONMENT if name not in {"S3_USE_HTTPS", "S3_VERIFY_SSL", CA_BUNDLE})
_variables: ContextVar[Mapping[str, str]] = ContextVar("variables", default=os.environ)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Retry for this time instead of `S3_RETRY_SECONDS`, for locations that are resolved in the block."""
    with _set({**_variables.get(), PATIENCE: str(seconds)}):
        yield


@contextmanager
def use_settings(values: Mapping[str, str]) -> Iterator[None]:
    """Use these S3 settings instead of this process's, for locations that are resolved in the block."""
    others = {name: value for name, value in _variables.get().items() if name not in S3_ENVIRONMENT}
    with _set({**others, **values}):
        yield


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    token = _variables.set(variables)
    try:
        yield
    finally:
        _variables.reset(token)


def s3_options(environment: Mapping[str, str] | None = None, endpoint: str = "") -> dict[str, Any]:
    """Return the arguments of `s3_store.S3Store` for a set of variables.

    Args:
        environment: Variables with the settings; an empty one counts as not set. By default those of the enclosing
            `use_settings` block, or of this process.
        endpoint: S3 endpoint that takes precedence over `S3_ENDPOINT`; with or without scheme.

    Raises:
        InputError: A value is invalid; the message names the variable.
    """
    environment = _variables.get() if environment is None else environment
    for name in _TEXTS:
        _check_text(name, environment.get(name, ""))
    url = _endpoint_url(environment, endpoint)
    return {
        "key": environment.get("AWS_ACCESS_KEY_ID") or None,
        "secret": environment.get("AWS_SECRET_ACCESS_KEY") or None,
        "token": environment.get("AWS_SESSION_TOKEN") or None,
        "endpoint_url": url or None,
        "patience": _retry_seconds(environment),
        "client_kwargs": {
            "region_name": environment.get("AWS_DEFAULT_REGION") or "us-east-1",
            "verify": _verify(environment),
        },
        "use_listings_cache": False,  # other processes write to the same folders
        "config_kwargs": {
            # Without a wildcard DNS entry MinIO supports path-style addresses only.
            "s3": {"addressing_style": "path"},
            "retries": {"total_max_attempts": 1},  # S3Store retries, and logs that it does
        },
    }


def _endpoint_url(environment: Mapping[str, str], endpoint: str) -> str:
    source, text = ("--minio-endpoint", endpoint) if endpoint else ("S3_ENDPOINT", environment.get("S3_ENDPOINT", ""))
    if not text:
        return ""
    if "@" in text:  # the message does not repeat it
        raise InputError(f"{source} contains a login", fix="give the address only")
    url = text if "://" in text else f"{'https' if is_true(environment, 'S3_USE_HTTPS') else 'http'}://{text}"
    if not is_address(url):
        problem = f"{source}={shown(text)} is not a valid address"
        raise InputError(problem, fix="give host:port, or http(s)://host:port")
    return url.rstrip("/")


def _verify(environment: Mapping[str, str]) -> bool | str:
    """Return False, True for the public certificate authorities, or the path of a file with other certificates."""
    if not is_true(environment, "S3_VERIFY_SSL"):
        return False
    if text := environment.get(CA_BUNDLE, "").strip():
        return _checked_certificates(_certificate_file(text), CA_BUNDLE)
    if path := environment.get("AWS_CA_BUNDLE", "").strip():
        return _checked_certificates(in_home(path), f"AWS_CA_BUNDLE={path}")
    return True


@cache
def _checked_certificates(path: str, source: str) -> str:
    """Return the path of a certificate file after loading it; the client would retry on an invalid one."""
    try:
        read_regular(Path(path))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (InputError, OSError) as error:  # OSError is the base class of ssl.SSLError
        raise InputError(
            f"environment variable {source}: no certificates found ({getattr(error, 'strerror', '') or error})",
            fix="give the certificates of the authority that signed the store's certificate: as PEM text in "
            f"{CA_BUNDLE}, or as the path of a PEM file in AWS_CA_BUNDLE",
        ) from error
    return path


@cache
def _certificate_file(text: str) -> str:
    """Return the path of a private file with certificates that exists until this process ends."""
    stack = ExitStack()
    file = stack.enter_context(scratch_directory()) / "ca.pem"
    file.write_text(text + "\n")
    atexit.register(stack.close)
    return str(file)


def _retry_seconds(environment: Mapping[str, str]) -> float:
    text = environment.get(PATIENCE, "").strip() or str(PATIENCE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(
            f"environment variable {PATIENCE}={text!r} is not a number of seconds", fix="set it to 0 or more"
        )
    return seconds


def _check_text(name: str, value: str) -> None:
    """Reject whitespace and quotes that `echo VALUE | base64` and `--env-file` leave; never show the value.

    Keys, tokens and regions become parts of HTTP headers, so that other characters would end in an error of a library.
    """
    if value != value.strip():
        raise InputError(
            f"environment variable {name} has whitespace around its value",
            fix="remove it (in a Secret: put the value under stringData, or encode it with `echo -n`)",
        )
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        raise InputError(f"environment variable {name} has quotes around its value", fix="remove them")
    if name != "S3_ENDPOINT" and not _VISIBLE.fullmatch(value):
        raise InputError(f"environment variable {name} has a character that no such value has", fix="copy it again")
    if name == "AWS_DEFAULT_REGION" and value and not _REGION.fullmatch(value):
        raise InputError(f"environment variable {name}={shown(value)} is not a region", fix="give one as us-east-1")


def is_true(environment: Mapping[str, str], name: str) -> bool:
    """Return the value of a Boolean variable that is true by default.

    Raises:
        InputError: The value is neither true nor false.
    """
    value = environment.get(name, "true").strip().lower()
    if value not in {*_TRUE, *_FALSE}:
        raise InputError(
            f"environment variable {name}={shown(value)} is neither true nor false", fix="set it to one of them"
        )
    return value in _TRUE
