"""What a submission from outside the cluster needs to know: from the environment, or from a `.env` file."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from dotenv import dotenv_values
from pydantic import SecretStr

from container_component_src.credentials import header_value
from container_component_src.errors import InputError
from container_component_src.storage import S3_ENVIRONMENT

ENDPOINT = "KUBEFLOW_ENDPOINT"
USERNAME = "KUBEFLOW_USERNAME"
PASSWORD = "KUBEFLOW_PASSWORD"  # noqa: S105 - the variable's name
TOKEN = "KUBEFLOW_TOKEN"  # noqa: S105 - the variable's name
NAMESPACE = "KUBEFLOW_NAMESPACE"
CONNECTOR = "KUBEFLOW_CONNECTOR"

PURPOSES = {
    ENDPOINT: "the address of the Kubeflow dashboard, like https://kubeflow.example.com",
    USERNAME: "the login at Kubeflow",
    PASSWORD: f"the login at Kubeflow (or {TOKEN}, a bearer token, instead of both)",
    NAMESPACE: "the namespace of your runs",
    "S3_ENDPOINT": "the object storage that holds the archives, like localhost:9000",
    "AWS_ACCESS_KEY_ID": "the object storage that holds the archives",
    "AWS_SECRET_ACCESS_KEY": "the object storage that holds the archives",
}
_S3_REQUIRED = ("S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_S3_IN_HEADERS = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")
_S3_ALSO = ("AWS_CA_BUNDLE",)  # a path, which means nothing in a pod
_NO_SECRET = SecretStr("")
# An address as users give it: without a scheme, with the path of the pipelines' API, or a page of the dashboard.
_ADDRESS = re.compile(
    r"(?P<host>https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?)"
    r"(/?|/pipeline(/[^?#]*)?|/_/[^?#]*)(\?(?P<query>[^#]*))?(#.*)?",
    re.ASCII,
)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Trust:
    """How TLS certificates are verified.

    Attributes:
        ca_bundle: PEM file with the authorities to trust; the well-known ones if None.
        verify: False trusts any certificate.
    """

    ca_bundle: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if self.ca_bundle and not self.verify:
            raise InputError("--ca-bundle and --insecure contradict each other: give one of them")
        if self.ca_bundle and not self.ca_bundle.is_file():
            raise InputError(f"--ca-bundle {self.ca_bundle}: no such file; name a PEM file with the authority")

    @property
    def authorities(self) -> str | None:
        """PEM file with the authorities that are trusted; None stands for the well-known ones."""
        return str(self.ca_bundle) if self.ca_bundle else os.environ.get("SSL_CERT_FILE")


@dataclass(frozen=True)
class Login:
    """Who logs in, and how.

    Attributes:
        username: As the login page takes it; empty with a token.
        password: Belongs to `username`.
        token: Bearer token that stands for the login.
        connector: Dex connector, like `local` or `ldap`; chosen by the login if empty.
    """

    username: str = ""
    password: SecretStr = _NO_SECRET
    token: SecretStr = _NO_SECRET
    connector: str = ""


@dataclass(frozen=True)
class RemoteSettings:
    """A platform and who uses it.

    Attributes:
        endpoint: Scheme and host, without a path.
        login: Who logs in.
        namespace: The user's namespace; the dashboard is asked if empty.
        namespace_source: Where its name comes from, for messages.
        trust: How certificates are verified.
    """

    endpoint: str
    login: Login
    namespace: str
    namespace_source: str
    trust: Trust = Trust()


def read_environment(env_file: Path | None, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment on top of a `.env` file; an empty variable counts as absent.

    Args:
        env_file: Lines of `NAME=value`; it may be absent, and None leaves it out. Values are taken as they stand, `$`
            included, without line breaks at their ends, which a shell keeps that reads a file with Windows line ends.
        environment: This process's one by default.

    Raises:
        InputError: The file is not readable as text.
    """
    try:
        filed = dotenv_values(env_file, interpolate=False) if env_file and env_file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{env_file}: not readable as text; write it anew after .env.example") from error
    own = os.environ if environment is None else environment
    return {**_set_values(filed), **_set_values(own)}


def _set_values(variables: Mapping[str, str | None]) -> dict[str, str]:
    stripped = {name: (value or "").strip("\r\n") for name, value in variables.items()}
    return {name: value for name, value in stripped.items() if value}


def remote_settings(values: Mapping[str, str], trust: Trust) -> RemoteSettings:
    """Read what `--remote` needs.

    Args:
        values: Environment and `.env` file together.
        trust: How certificates are verified.

    Raises:
        InputError: Variables are missing, which are all named with what they are for, or one does not fit.
    """
    token = header_value(values.get(TOKEN, ""), TOKEN)
    require(values, [ENDPOINT] if token else [ENDPOINT, USERNAME, PASSWORD])
    login = (
        Login(token=SecretStr(token))
        if token
        else Login(values[USERNAME], SecretStr(values[PASSWORD]), connector=values.get(CONNECTOR, ""))
    )
    endpoint = normalise_endpoint(values[ENDPOINT])
    namespace, source = values.get(NAMESPACE, "").strip(), NAMESPACE
    if not namespace:
        namespace, source = namespace_of_page(values[ENDPOINT]), f"from {ENDPOINT}"
    return RemoteSettings(endpoint, login, namespace, source, trust)


def s3_environment(values: Mapping[str, str]) -> dict[str, str]:
    """The settings of the object storage alone.

    Raises:
        InputError: Variables are missing, which are all named.
    """
    require(values, _S3_REQUIRED, "; or leave out the checks with --skip-preflight")
    if "@" in values["S3_ENDPOINT"]:
        raise InputError("S3_ENDPOINT holds a login: give the address alone, and the keys in their own variables")
    found = {name: values[name] for name in (*S3_ENVIRONMENT, *_S3_ALSO) if name in values}
    return {name: header_value(text, name) if name in _S3_IN_HEADERS else text for name, text in found.items()}


def has_s3_settings(values: Mapping[str, str]) -> bool:
    """Whether anything says where the object storage is."""
    return any(values.get(name) for name in _S3_REQUIRED)


def require(values: Mapping[str, str], names: list[str] | tuple[str, ...], way_out: str = "") -> None:
    """Check that variables are set.

    Raises:
        InputError: Some are not; all are named with what they are for.
    """
    missing = [f"{name} ({PURPOSES[name]})" for name in names if not values.get(name)]
    if missing:
        raise InputError(f"not set: {', '.join(missing)}: set it in the environment or in .env{way_out}")


def normalise_endpoint(text: str) -> str:
    """Scheme and host of an address as users give it; see `_ADDRESS`.

    Raises:
        InputError: It is no web address, or holds a login.
    """
    return _read_endpoint(text)["host"]


def namespace_of_page(text: str) -> str:
    """The namespace that a page of the dashboard has in its address; empty if there is none.

    Raises:
        InputError: As `normalise_endpoint`.
    """
    named = parse_qs(_read_endpoint(text)["query"] or "").get("ns", [""])[0]
    return named if _DNS_LABEL.fullmatch(named) else ""


def _read_endpoint(text: str) -> re.Match[str]:
    address = text.strip()
    found = _ADDRESS.fullmatch(address if "://" in address else f"https://{address}")
    if found is None:
        # The text is not repeated: it may hold a password.
        raise InputError(f"{ENDPOINT} is no address like https://kubeflow.example.com: give scheme and host alone")
    return found
