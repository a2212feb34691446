"""Settings of the S3 store: names of the variables, checks of their values, and what the client makes of them.

They come from the environment: `S3_ENDPOINT` (with or without scheme), `S3_USE_HTTPS`, `S3_VERIFY_SSL`, `S3_CA_BUNDLE`
(certificates as PEM text; `AWS_CA_BUNDLE` is the path of such a file), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_SESSION_TOKEN`, `AWS_DEFAULT_REGION`, and `S3_RETRY_SECONDS`, how long a store that is away is waited for.
"""

import atexit
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from container_component_src.errors import InputError
from container_component_src.scratch import scratch_directory

AWS_ENDPOINT = "https://s3.amazonaws.com"  # where no endpoint is set
CA_BUNDLE = "S3_CA_BUNDLE"
PATIENCE = "S3_RETRY_SECONDS"
# Also the keys of the Secret that fills these variables on a cluster.
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
PATIENCE_SECONDS = 600.0  # a store's pod that moves to another node needs minutes, most of them for its volume
QUICK_SECONDS = 3.0  # enough for a connection that was closed between two requests

_TEXTS = tuple(name for name in S3_ENVIRONMENT if name not in {"S3_USE_HTTPS", "S3_VERIFY_SSL", CA_BUNDLE})
_patience: ContextVar[float | None] = ContextVar("patience", default=None)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait so long, and not `S3_RETRY_SECONDS`, for a store that is away; holds for what is resolved in the block."""
    before = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(before)


@contextmanager
def in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Put S3 settings, and none of those that are there, into the environment of this process while the block runs."""
    before = dict(os.environ)
    for name in S3_ENVIRONMENT:
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def s3_options(environment: Mapping[str, str], endpoint: str = "") -> dict[str, Any]:
    """Arguments of `s3_store.S3Store` for the settings of an environment.

    Args:
        environment: Where the settings are looked up; an empty variable counts as absent.
        endpoint: S3 endpoint that wins over `S3_ENDPOINT`; with or without scheme.

    Raises:
        InputError: A value does not fit; the message names the variable.
    """
    for name in _TEXTS:
        _check_bare(name, environment.get(name, ""))
    url = _endpoint_url(environment, endpoint)
    return {
        "key": environment.get("AWS_ACCESS_KEY_ID") or None,
        "secret": environment.get("AWS_SECRET_ACCESS_KEY") or None,
        "token": environment.get("AWS_SESSION_TOKEN") or None,
        "endpoint_url": url or None,
        "patience": _seconds(environment),
        "client_kwargs": {
            "region_name": environment.get("AWS_DEFAULT_REGION") or "us-east-1",
            "verify": _verify(environment),
        },
        "use_listings_cache": False,  # other processes write to the same folders
        "config_kwargs": {
            # MinIO without a wildcard DNS entry knows buckets by path only.
            "s3": {"addressing_style": "path"},
            "retries": {"total_max_attempts": 1},  # the store's client tries again itself, and says so
        },
    }


def _endpoint_url(environment: Mapping[str, str], endpoint: str) -> str:
    source, text = ("--minio-endpoint", endpoint) if endpoint else ("S3_ENDPOINT", environment.get("S3_ENDPOINT", ""))
    if not text:
        return ""
    url = text if "://" in text else f"{'https' if is_true(environment, 'S3_USE_HTTPS') else 'http'}://{text}"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port is like that
        fits = False
    if not fits or any(sign.isspace() for sign in url):
        raise InputError(f"{source}={text!r} is no address; give host:port, or http(s)://host:port")
    return url


def _verify(environment: Mapping[str, str]) -> bool | str:
    """False, True for the well-known authorities, or the path of a file with others."""
    if not is_true(environment, "S3_VERIFY_SSL"):
        return False
    if text := environment.get(CA_BUNDLE, "").strip():
        return _trusted(_certificate_file(text), CA_BUNDLE)
    if path := environment.get("AWS_CA_BUNDLE"):
        return _trusted(path, f"AWS_CA_BUNDLE={path}")
    return True


@cache
def _trusted(path: str, source: str) -> str:
    """The path of a file that holds certificates; the client itself would take a bad one for a passing fault."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(
            f"environment variable {source}: no certificates found ({error.strerror or error}); give those of the "
            f"authority that signed the store's certificate: as PEM text in {CA_BUNDLE}, or the path of a PEM file in "
            "AWS_CA_BUNDLE"
        ) from error
    return path


@cache
def _certificate_file(text: str) -> str:
    """The path of a private file with certificates, which lives as long as this process; TLS libraries want a path."""
    stack = ExitStack()
    file = stack.enter_context(scratch_directory()) / "ca.pem"
    file.write_text(text + "\n")
    atexit.register(stack.close)
    return str(file)


def _seconds(environment: Mapping[str, str]) -> float:
    chosen = _patience.get()
    if chosen is not None:
        return chosen
    text = environment.get(PATIENCE) or str(PATIENCE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(f"environment variable {PATIENCE}={text!r} is no number of seconds; set it to 0 or more")
    return seconds


def _check_bare(name: str, value: str) -> None:
    """Refuse what `echo VALUE | base64` and `--env-file` leave around a value; the value itself is not repeated."""
    if value != value.strip():
        raise InputError(
            f"environment variable {name} has a blank or a line end around its value; remove it (in a Secret: put the "
            "value under stringData, or encode it with `echo -n`)"
        )
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        raise InputError(f"environment variable {name} has quotes around its value; remove them")


def is_true(environment: Mapping[str, str], name: str) -> bool:
    """Read a switch that is on unless it says otherwise.

    Raises:
        InputError: It is neither true nor false.
    """
    value = environment.get(name, "true").strip().lower()
    if value not in {"1", "true", "yes", "0", "false", "no", ""}:
        raise InputError(f"environment variable {name}={value!r} is neither true nor false; set it to one of them")
    return value in {"1", "true", "yes", ""}
