"""kfp's client for a platform: it logs in by itself, gives up in time, and says in one line what is wrong."""

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
    not_let_in,
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
# kfp's client takes an empty namespace and "kubeflow" for "not given", and asks the API before it can log in.
_UNKNOWN_NAMESPACE = "-"
_PROXY = re.compile(r"https?://([^/?#\s]*@)?([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", re.ASCII)
_REDIRECTS = range(300, 400)
NEW_NOTEBOOK = (
    "apply deploy/poddefault.yaml in your namespace, and create a notebook with 'Allow access to Kubeflow Pipelines'"
)
_TOKEN_OVERLAYS = "m2m-dex-and-kind or m2m-dex-and-eks"  # noqa: S105 - of oauth2-proxy in the manifests of Kubeflow
# A lost connection is tried again before anything was sent; a redirect leads to a login, never to an answer.
_RETRIES = Retry(total=None, connect=2, read=0, redirect=False, status=0, other=0, backoff_factor=0.5)


def remote_client(settings: RemoteSettings, session: AuthSession) -> kfp.Client:
    """A client that reaches the API through the platform's gateway.

    Args:
        settings: The platform.
        session: Who the platform takes us for.
    """
    trust = settings.trust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it announces the API that this project is written for
        client = kfp.Client(
            host=f"{settings.endpoint}/pipeline",
            namespace=_UNKNOWN_NAMESPACE,
            cookies="",  # not those of another platform that a file of kfp may hold
            verify_ssl=trust.verify,
            ssl_ca_cert=trust.authorities,
            proxy=proxy_for(settings.endpoint),
        )
    return _guarded(client, settings.endpoint, session)


def notebook_client(environment: Mapping[str, str] = os.environ) -> kfp.Client:
    """A client for the API of the cluster that this pod runs in, with the pod's own token.

    Raises:
        InputError: This is no pod with access to Kubeflow Pipelines.
    """
    token = Path(environment.get(TOKEN_PATH_VARIABLE, TOKEN_PATH))
    if not token.is_file():
        raise InputError(
            f"this is no Kubeflow notebook with access to pipelines (no token at {token}): {NEW_NOTEBOOK}; "
            "elsewhere choose --local, --remote or --compile-only"
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
    """Let a client put a namespace into its requests, or none if empty.

    The client's own way to change it writes a file in the home folder.
    """
    client._context_setting["namespace"] = namespace


def get_text(client: kfp.Client, path: str, query: Mapping[str, str] | None = None, host: str = "") -> str:
    """Get a text that is served beside the API.

    Args:
        client: Whose login is used.
        path: Where.
        query: What is asked for.
        host: Scheme and host, where it is not below the address of the API.

    Raises:
        InputError: The platform does not take the login.
        PlatformError: It cannot be had.
    """
    api_client = client.runs.api_client
    address = (host or api_client.configuration.host) + path
    token = api_client.configuration.get_api_key_with_prefix("authorization")  # of a pod; read anew from its file
    headers = {"authorization": token} if token else {}
    answer = api_client.rest_client.GET(address, query_params=list((query or {}).items()), headers=headers)
    return bytes(answer.data).decode(errors="replace")


def proxy_for(endpoint: str) -> str | None:
    """The proxy that the environment names for an address, as the login uses it too.

    Raises:
        InputError: It is no address of a proxy; it is not repeated, for it may hold a password.
    """
    scheme, _, host = endpoint.partition("://")
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _PROXY.fullmatch(proxy):
        raise InputError(
            f"the environment's proxy for {scheme} is no address like http://proxy.example.com:3128: "
            f"set {scheme}_proxy, with a password's special characters escaped"
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
    """Sends the requests of kfp's client: authenticated, with time limits, and again after one new login.

    Args:
        send: Sends one request, as `RESTClientObject.request` does.
        host: What messages call the platform.
        session: Who we are; None leaves that to kfp's client.
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
            InputError: The platform does not take the login.
            PlatformError: The platform cannot be reached, or refuses.
        """
        options["_request_timeout"] = (_CONNECT_SECONDS, _READ_SECONDS)
        try:
            answer = self._send_again_after_login(method, url, query_params, headers, options)
        except ApiException as error:
            raise self._refusal(url, error) from None  # its text holds headers, and those may hold cookies
        except HTTPError as error:
            raise self._lost_connection(error) from None  # likewise
        if "text/html" in answer.urllib3_response.headers.get("content-type", ""):
            raise no_api(self._host, "a web page")
        return answer

    def _send_again_after_login(
        self, method: str, url: str, query: Any, headers: dict[str, str] | None, options: dict[str, Any]
    ) -> Any:
        try:
            return self._send(method, url, query, self._authenticated(headers), **options)
        except ApiException as error:
            if not _asks_for_login(url, error) or self._session is None or not self._session.can_renew:
                raise
        self._session.forget()
        return self._send(method, url, query, self._authenticated(headers), **options)

    def _authenticated(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), **(self._session.headers() if self._session else {})}

    def _refusal(self, url: str, error: ApiException) -> PlatformError:
        if error.status == 0:  # kfp_server_api turns errors of TLS into this
            return untrusted(self._host, one_line(str(error.reason)))
        said = _message(error)
        if _asks_for_login(url, error):
            return not_let_in(self._host, error.status, said, self._fix_of_login(said))
        if error.status >= 500:
            return failing(self._host, error.status, said or error.reason)
        return refused(self._host, error.status, said or error.reason, _is_from_api(error))

    def _fix_of_login(self, said: str) -> str:
        if self._session is None:
            return NEW_NOTEBOOK
        if self._session.can_renew:
            return "ask who runs the platform whether this user may use Kubeflow Pipelines"
        if "expired" in said:
            return f"renew {TOKEN}"
        return (
            f"renew {TOKEN}, or use {USERNAME} and {PASSWORD}; Kubernetes' own tokens are taken only where "
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


def _asks_for_login(url: str, error: ApiException) -> bool:
    """Whether a gateway stands between us and the API, in one of its ways: 401, the way to a login, or its page."""
    if error.status == HTTPStatus.FORBIDDEN:
        page = bytes(error.body or b"").decode(errors="replace")
        return isinstance(read_page(url, page), SignInPage)
    return error.status == HTTPStatus.UNAUTHORIZED or error.status in _REDIRECTS


def _is_from_api(error: ApiException) -> bool:
    """Whether the API itself wrote an answer: its errors are JSON objects with a code of gRPC."""
    try:
        body = json.loads(bytes(error.body or b""))
    except ValueError:
        return False
    return isinstance(body, dict) and "code" in body


_WORDS = ("message", "error", "error_message", "error_details")  # where the API, and its upload, say what is wrong


def _message(error: ApiException) -> str:
    """What the API says, without the request's details that follow on the next lines; a proxy's words otherwise."""
    text = bytes(error.body or b"").decode(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        return "" if "<" in text else one_line(text)
    said = next((body[key] for key in _WORDS if body.get(key)), "") if isinstance(body, dict) else ""
    return one_line(str(said or ""))
