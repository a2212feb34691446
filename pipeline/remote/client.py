"""kfp's client with automatic login, time limits and one-line errors."""

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import kfp
from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials
from kfp_server_api import ApiException
from kfp_server_api.rest import RESTClientObject
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Retry

from container_component_src.errors import InputError
from pipeline.auth_session import AuthSession
from pipeline.login.errors import (
    PlatformError,
    broken_off,
    failing,
    no_api,
    not_logged_in,
    one_line,
    refused,
    too_slow,
    unreachable,
    untrusted,
)
from pipeline.login.pages import SignInPage, read_page
from pipeline.login.settings import PASSWORD, TOKEN, USERNAME, RemoteSettings

API_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
TOKEN_PATH = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the variable's name
_CONNECT_SECONDS, _READ_SECONDS = 15, 60
# kfp's client treats an empty namespace and "kubeflow" as not given, and then calls the API before the login.
_UNKNOWN_NAMESPACE = "-"
_PROXY = re.compile(r"https?://([^/?#\s]*@)?([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", re.ASCII)
_REDIRECTS = range(300, 400)
_MESSAGE_KEYS = ("message", "error", "error_message", "error_details")  # of the API and of its endpoint for uploads
NOTEBOOK_FIX = (
    "apply deploy/poddefault.yaml in your namespace, and create a notebook with 'Allow access to Kubeflow Pipelines'"
)
_TOKEN_OVERLAYS = "m2m-dex-and-kind or m2m-dex-and-eks"  # noqa: S105 - overlays of oauth2-proxy in the Kubeflow manifests
# Only opening a connection is retried, because nothing was sent yet. A redirect leads to a login, never to an answer.
_RETRIES = Retry(total=None, connect=2, read=0, redirect=False, status=0, other=0, backoff_factor=0.5)


def remote_client(settings: RemoteSettings, session: AuthSession) -> kfp.Client:
    """Return a client that reaches the API through the platform's gateway.

    Args:
        settings: The platform and its user.
        session: Authentication of the requests.
    """
    trust = settings.trust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about the version of the API that this project uses
        client = kfp.Client(
            host=f"{settings.endpoint}/pipeline",
            namespace=_UNKNOWN_NAMESPACE,
            cookies="",  # not those of another platform from a file of kfp
            verify_ssl=trust.verify,
            ssl_ca_cert=trust.authorities,
            proxy=proxy_for(settings.endpoint),
        )
    return _guarded(client, settings.endpoint, session)


def notebook_client(environment: Mapping[str, str] = os.environ) -> kfp.Client:
    """Return a client for the API of the cluster that this pod runs in; it uses the pod's own token.

    Raises:
        InputError: This process does not run in a pod with access to Kubeflow Pipelines.
    """
    token = Path(environment.get(TOKEN_PATH_VARIABLE, TOKEN_PATH))
    if not token.is_file():
        raise InputError(
            f"this is not a Kubeflow notebook with access to pipelines (no token at {token})",
            fix=f"{NOTEBOOK_FIX}; elsewhere use --remote, or to run the pipeline --local or --compile-only",
        )
    host = environment.get("KF_PIPELINES_ENDPOINT", API_IN_CLUSTER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client = kfp.Client(
            host=host,
            namespace=_UNKNOWN_NAMESPACE,
            cookies="",
            credentials=ServiceAccountTokenVolumeCredentials(str(token)),
        )
    return _guarded(client, host, session=None)


def use_namespace(client: kfp.Client, namespace: str) -> None:
    """Set the namespace of a client's requests; empty for none.

    The client's own setter would write a file in the home folder.
    """
    client._context_setting["namespace"] = namespace


def get_text(client: kfp.Client, path: str, query: Mapping[str, str] | None = None, host: str = "") -> str:
    """Get a text from the server of the API.

    Args:
        client: Client whose login is used.
        path: Path on the server.
        query: Query parameters.
        host: Scheme and host of the server; by default the address of the API.

    Raises:
        InputError: The platform rejects the login.
        PlatformError: The platform cannot be reached, or refuses.
    """
    api_client = client.runs.api_client
    address = (host or api_client.configuration.host) + path
    token = api_client.configuration.get_api_key_with_prefix("authorization")  # of a pod; read from its file each time
    headers = {"authorization": token} if token else {}
    answer = api_client.rest_client.GET(address, query_params=list((query or {}).items()), headers=headers)
    return bytes(answer.data).decode(errors="replace")


def proxy_for(endpoint: str) -> str | None:
    """Return the proxy that the environment names for an address; the login uses the same one.

    Raises:
        InputError: The value is not the address of a proxy. The message omits it because it may contain a password.
    """
    scheme, _, host = endpoint.partition("://")
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _PROXY.fullmatch(proxy):
        raise InputError(
            f"the environment's proxy for {scheme} is not an address such as http://proxy.example.com:3128",
            fix=f"set {scheme}_proxy, with special characters of a password escaped",
        )
    return proxy


def _guarded(client: kfp.Client, host: str, session: AuthSession | None) -> kfp.Client:
    api_client = client.runs.api_client
    api_client.configuration.retries = _RETRIES
    rest = RESTClientObject(api_client.configuration)
    rest.request = _Guard(rest.request, host, session).request  # all its verbs go through this method
    api_client.rest_client = rest
    return client


class _Guard:
    """Wrapper of the requests of kfp's client that adds authentication, time limits and one new login on demand.

    Args:
        send: Function that sends one request: `RESTClientObject.request`.
        host: Name of the platform in messages.
        session: Authentication of the requests; None leaves it to kfp's client.
    """

    def __init__(self, send: Callable[..., Any], host: str, session: AuthSession | None) -> None:
        self._send = send
        self._host = host
        self._session = session

    def request(
        self, method: str, url: str, query_params: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Send a request.

        Raises:
            InputError: The platform rejects the login.
            PlatformError: The platform cannot be reached, or refuses.
        """
        options["_request_timeout"] = (_CONNECT_SECONDS, _READ_SECONDS)
        try:
            answer = self._send_with_login(method, url, query_params, headers, options)
        except ApiException as error:
            raise self._refusal(url, error) from None  # its text contains headers, which may contain cookies
        except HTTPError as error:
            raise self._lost_connection(error) from None  # for the same reason
        if "text/html" in answer.urllib3_response.headers.get("content-type", ""):
            raise no_api(self._host, "a web page")
        return answer

    def _send_with_login(
        self, method: str, url: str, query: Any, headers: dict[str, str] | None, options: dict[str, Any]
    ) -> Any:
        try:
            return self._send(method, url, query, self._authenticated(headers), **options)
        except ApiException as error:
            if not _needs_login(url, error) or self._session is None or not self._session.can_renew:
                raise
        self._session.forget()
        return self._send(method, url, query, self._authenticated(headers), **options)

    def _authenticated(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), **(self._session.headers() if self._session else {})}

    def _refusal(self, url: str, error: ApiException) -> PlatformError:
        if error.status == 0:  # kfp_server_api turns errors of TLS into this
            return untrusted(self._host, one_line(str(error.reason)))
        message = _message(error)
        if _needs_login(url, error):
            return not_logged_in(self._host, error.status, message, self._login_fix(message))
        if error.status >= 500:
            return failing(self._host, error.status, message or error.reason)
        return refused(self._host, error.status, message or error.reason, _is_from_api(error))

    def _login_fix(self, message: str) -> str:
        if self._session is None:
            return NOTEBOOK_FIX
        if self._session.can_renew:
            return "ask the platform's administrator whether this user may use Kubeflow Pipelines"
        if "expired" in message:
            return f"renew {TOKEN}"
        return (
            f"renew {TOKEN}, or use {USERNAME} and {PASSWORD}; tokens of Kubernetes are accepted only if "
            f"oauth2-proxy is installed with overlay {_TOKEN_OVERLAYS}"
        )

    def _lost_connection(self, error: HTTPError) -> PlatformError:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        match cause:
            case SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(cause):
                return untrusted(self._host, one_line(str(cause)))
            case NewConnectionError() | ConnectTimeoutError() | SSLError():
                return unreachable(self._host, one_line(str(cause).rpartition(": ")[2]))
            case ReadTimeoutError():
                return too_slow(self._host, _READ_SECONDS)
        return broken_off(self._host)


def _needs_login(url: str, error: ApiException) -> bool:
    """Return whether a gateway asks for a login: by 401, by a redirect, or by its sign-in page."""
    if error.status == HTTPStatus.FORBIDDEN:
        page = bytes(error.body or b"").decode(errors="replace")
        return isinstance(read_page(url, page), SignInPage)
    return error.status == HTTPStatus.UNAUTHORIZED or error.status in _REDIRECTS


def _is_from_api(error: ApiException) -> bool:
    """Return whether the API itself answered: its errors are JSON objects with a gRPC code."""
    try:
        body = json.loads(bytes(error.body or b""))
    except ValueError:
        return False
    return isinstance(body, dict) and "code" in body


def _message(error: ApiException) -> str:
    """Return the first line of the API's error message, or of a proxy's text."""
    text = bytes(error.body or b"").decode(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        return "" if "<" in text else one_line(text)
    message = next((body[key] for key in _MESSAGE_KEYS if body.get(key)), "") if isinstance(body, dict) else ""
    return one_line(str(message))
