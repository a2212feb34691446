"""Settings of a submission from outside the cluster, read from the environment or a `.env` file."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qs

from dotenv import dotenv_values
from pydantic import SecretStr

from container_component_src.credentials import header_value
from container_component_src.errors import InputError
from container_component_src.files import read_text
from container_component_src.storage import S3_ENVIRONMENT
from container_component_src.values import in_home

ENDPOINT = "KUBEFLOW_ENDPOINT"
USERNAME = "KUBEFLOW_USERNAME"
PASSWORD = "KUBEFLOW_PASSWORD"  # noqa: S105 - the variable's name
TOKEN = "KUBEFLOW_TOKEN"  # noqa: S105 - the variable's name
NAMESPACE = "KUBEFLOW_NAMESPACE"
CONNECTOR = "KUBEFLOW_CONNECTOR"
LOGIN_HOST = "KUBEFLOW_LOGIN_HOST"

PURPOSES = {
    ENDPOINT: "address of the Kubeflow dashboard, such as https://kubeflow.example.com",
    USERNAME: "login at Kubeflow",
    PASSWORD: f"login at Kubeflow, or a bearer token in {TOKEN} instead of both",
    "S3_ENDPOINT": "object storage with the archives, such as localhost:9000",
    "AWS_ACCESS_KEY_ID": "object storage with the archives",
    "AWS_SECRET_ACCESS_KEY": "object storage with the archives",
}
_S3_REQUIRED = ("S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_S3_HEADERS = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")
_S3_LOCAL = ("AWS_CA_BUNDLE",)  # a path on this machine, which does not exist in a pod
_NO_SECRET = SecretStr("")
# Users give an address without a scheme, with the path of the pipelines API, or of a page of the dashboard.
_ADDRESS = re.compile(
    r"(?P<host>https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?)"
    r"(/?|/pipeline(/[^?#]*)?|/_/[^?#]*)(\?(?P<query>[^#]*))?(#.*)?",
    re.ASCII,
)
_HOST = re.compile(r"[\w.-]*|[0-9a-f:]+", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Trust:
    """Verification of TLS certificates.

    Attributes:
        ca_bundle: PEM file with the trusted authorities; None means the well-known ones.
        verify: Whether certificates are verified; False trusts any certificate.
    """

    ca_bundle: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if self.ca_bundle and not self.verify:
            raise InputError("--ca-bundle and --insecure exclude each other", fix="give one of them")
        if self.ca_bundle and not self.ca_bundle.is_file():
            raise InputError(f"--ca-bundle {self.ca_bundle}: no such file", fix="name a PEM file with the authority")

    @property
    def authorities(self) -> str | None:
        """PEM file with the trusted authorities; None means the well-known ones."""
        return str(self.ca_bundle) if self.ca_bundle else in_home(os.environ.get("SSL_CERT_FILE", "")) or None


@dataclass(frozen=True)
class Login:
    """Credentials of a user.

    Attributes:
        username: User name on the login page; empty if a token is used.
        password: Password of the user.
        token: Bearer token, used instead of user name and password.
        connector: Dex connector, such as `local` or `ldap`; chosen automatically if empty.
        host: Host that may ask for the password beside that of the endpoint; empty if there is none.
    """

    username: str = ""
    password: SecretStr = _NO_SECRET
    token: SecretStr = _NO_SECRET
    connector: str = ""
    host: str = ""


@dataclass(frozen=True)
class RemoteSettings:
    """A platform and its user.

    Attributes:
        endpoint: Scheme and host, without a path.
        login: Credentials of the user.
        namespace: Namespace of the user; read from the dashboard if empty.
        namespace_source: Origin of the namespace, for messages.
        trust: Verification of certificates.
    """

    endpoint: str
    login: Login
    namespace: str
    namespace_source: str
    trust: Trust = Trust()


def read_environment(env_file: Path | None, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of the environment and of a `.env` file; the environment takes precedence.

    Empty variables count as absent. Values are taken literally, `$` included. Line breaks at their ends are removed,
    because a shell that reads a file with Windows line endings keeps them.

    Args:
        env_file: File with lines `NAME=value`; None, or a file that does not exist, is skipped.
        environment: Environment variables; by default those of this process.

    Raises:
        InputError: The file is not readable as text.
    """
    try:
        text = read_text(env_file) if env_file and env_file.exists() else ""
    except OSError as error:
        raise InputError(f"{env_file}: not readable as text", fix="write it again from .env.example") from error
    in_file = dotenv_values(stream=StringIO(text), interpolate=False)
    return {**_non_empty(in_file), **_non_empty(os.environ if environment is None else environment)}


def _non_empty(variables: Mapping[str, str | None]) -> dict[str, str]:
    stripped = {name: (value or "").strip("\r\n") for name, value in variables.items()}
    return {name: value for name, value in stripped.items() if value}


def remote_settings(values: Mapping[str, str], trust: Trust) -> RemoteSettings:
    """Read the settings that `--remote` needs.

    Args:
        values: Variables by name, as `read_environment` returns them.
        trust: Verification of certificates.

    Raises:
        InputError: Variables are missing (the error names all of them with their purpose) or invalid.
    """
    token = header_value(values.get(TOKEN, ""), TOKEN)
    require(values, [ENDPOINT] if token else [ENDPOINT, USERNAME, PASSWORD])
    login = (
        Login(token=SecretStr(token))
        if token
        else Login(
            values[USERNAME], SecretStr(values[PASSWORD]), _NO_SECRET, values.get(CONNECTOR, ""), _login_host(values)
        )
    )
    endpoint = normalise_endpoint(values[ENDPOINT])
    namespace, source = values.get(NAMESPACE, "").strip(), NAMESPACE
    if not namespace:
        namespace, source = namespace_of_page(values[ENDPOINT]), f"from {ENDPOINT}"
    return RemoteSettings(endpoint, login, namespace, source, trust)


def _login_host(values: Mapping[str, str]) -> str:
    host = values.get(LOGIN_HOST, "").strip().lower()
    if not _HOST.fullmatch(host):
        raise InputError(f"{LOGIN_HOST} is not a host such as login.example.com", fix="give the host only")
    return host


def s3_environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the object storage.

    Raises:
        InputError: Variables are missing; the error names all of them.
    """
    require(values, _S3_REQUIRED, ", or skip the checks with --skip-preflight")
    if "@" in values["S3_ENDPOINT"]:
        raise InputError(
            "S3_ENDPOINT contains a login", fix="give the address only, and the keys in variables of their own"
        )
    found = {name: values[name] for name in (*S3_ENVIRONMENT, *_S3_LOCAL) if name in values}
    return {name: header_value(text, name) if name in _S3_HEADERS else text for name, text in found.items()}


def has_s3_settings(values: Mapping[str, str]) -> bool:
    """Return whether any setting of the object storage is given."""
    return any(values.get(name) for name in _S3_REQUIRED)


def require(values: Mapping[str, str], names: Sequence[str], alternative: str = "") -> None:
    """Check that variables are set.

    Args:
        values: Variables by name.
        names: Names of the required variables.
        alternative: Another way to fix the error, appended to the message.

    Raises:
        InputError: Variables are missing; the error names all of them with their purpose.
    """
    missing = [f"{name} ({PURPOSES[name]})" for name in names if not values.get(name)]
    if missing:
        raise InputError(f"not set: {', '.join(missing)}", fix=f"set it in the environment or in .env{alternative}")


def normalise_endpoint(text: str) -> str:
    """Return scheme and host of an address.

    Args:
        text: Address, with or without a scheme; it may be that of a page of the dashboard.

    Raises:
        InputError: The text is not a web address, or it contains a login.
    """
    return _read_endpoint(text)["host"]


def namespace_of_page(text: str) -> str:
    """Return the namespace in the address of a dashboard page, or an empty text if there is none.

    Raises:
        InputError: The text is not a web address, or it contains a login.
    """
    named = parse_qs(_read_endpoint(text)["query"] or "").get("ns", [""])[0]
    return named if _DNS_LABEL.fullmatch(named) else ""


def _read_endpoint(text: str) -> re.Match[str]:
    address = text.strip()
    found = _ADDRESS.fullmatch(address if "://" in address else f"https://{address}")
    if found is None:
        # The message does not repeat the text, which may contain a password.
        raise InputError(
            f"{ENDPOINT} is not an address such as https://kubeflow.example.com", fix="give scheme and host only"
        )
    return found
