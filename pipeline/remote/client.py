"""kfp's client for a platform: it logs in by itself, gives up in time, and says in one line what is wrong."""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from pipeline.remote.login_pages import SignInPage, read_page
from pipeline.remote.problems import (
    PlatformError,
    broken_off,
    failing,
    one_line,
    refused,
    too_slow,
    unreachable,
    untrusted,
)
from pipeline.remote.settings import RemoteSettings

API_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
TOKEN_PATH = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - a path
TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the variable's name
_CONNECT_SECONDS, _READ_SECONDS = 15, 60
_REDIRECTS = range(300, 400)
# A lost connection is tried again before anything was sent; a redirect leads to a login, never to an answer.
_RETRIES = Retry(total=None, connect=2, read=0, redirect=False, status=0, other=0, backoff_factor=0.5)


def remote_client(settings: RemoteSettings, session: AuthSession, ui: str) -> kfp.Client:
    """A client that reaches the API through the platform's gateway.

    Args:
        settings: The platform.
        session: Who the platform takes us for.
        ui: Address of the pages that runs are shown on.
    """
    trust = settings.trust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it announces the API that this project is written for
        client = kfp.Client(
            host=f"{settings.endpoint}/pipeline",
            namespace=settings.namespace,  # without one it would ask the API, five times, and keep the answer in a file
            cookies="",  # not those of another platform that a file of kfp may hold
            ui_host=ui,
            verify_ssl=trust.verify,
            ssl_ca_cert=trust.authorities,
        )
    return _guarded(client, settings.endpoint, session)


def notebook_client(namespace: str, ui: str, environment: Mapping[str, str] = os.environ) -> kfp.Client:
    """A client for the API of the cluster that this pod runs in, with the pod's own token.

    Raises:
        InputError: This is no pod with access to Kubeflow Pipelines.
    """
    token = Path(environment.get(TOKEN_PATH_VARIABLE, TOKEN_PATH))
    if not token.is_file():
        raise InputError(
            f"this is no Kubeflow notebook with access to pipelines (no token at {token}): create the notebook with "
            "'Allow access to Kubeflow Pipelines', or choose --local, --remote or --compile-only"
        )
    host = environment.get("KF_PIPELINES_ENDPOINT", API_IN_CLUSTER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client = kfp.Client(
            host=host,
            namespace=namespace,
            cookies="",
            ui_host=ui,
            credentials=ServiceAccountTokenVolumeCredentials(str(token)),
        )
    return _guarded(client, host, session=None)


def get_text(client: kfp.Client, path: str, query: Mapping[str, str]) -> str:
    """Get a text that is served beside the API.

    Raises:
        PlatformError: It cannot be had.
    """
    api_client = client.runs.api_client
    answer = api_client.rest_client.GET(api_client.configuration.host + path, query_params=list(query.items()))
    return bytes(answer.data).decode(errors="replace")


def _guarded(client: kfp.Client, host: str, session: AuthSession | None) -> kfp.Client:
    api_client = client.runs.api_client
    api_client.configuration.retries = _RETRIES
    api_client.rest_client = _GuardedRest(api_client.configuration, host, session)
    return client


class _GuardedRest(RESTClientObject):  # type: ignore[misc]  # kfp_server_api has no types
    """Sends the requests of kfp's client: authenticated, with time limits, and again after one new login.

    Args:
        configuration: Of kfp's client.
        host: What messages call the platform.
        session: Who we are; None leaves that to kfp's client.
    """

    def __init__(self, configuration: Any, host: str, session: AuthSession | None) -> None:
        super().__init__(configuration)
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
            try:
                return super().request(method, url, query_params, self._authenticated(headers), **options)
            except ApiException as error:
                if not _asks_for_login(url, error) or self._session is None or not self._session.can_renew:
                    raise
            self._session.forget()
            return super().request(method, url, query_params, self._authenticated(headers), **options)
        except ApiException as error:
            raise self._refusal(url, error) from None  # its text holds headers, and those may hold cookies
        except HTTPError as error:
            raise self._lost_connection(error) from None  # likewise

    def _authenticated(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {**(headers or {}), **(self._session.headers() if self._session else {})}

    def _refusal(self, url: str, error: ApiException) -> PlatformError:
        if error.status == 0:  # kfp_server_api turns errors of TLS into this
            return untrusted(self._host, one_line(str(error.reason)))
        if _asks_for_login(url, error):
            return PlatformError(
                f"{self._host}: does not take the login for the API ({error.status}): renew the token", error.status
            )
        said = _message(error)
        if error.status >= 500:
            return failing(self._host, error.status, said or error.reason)
        return refused(self._host, error.status, said or error.reason)

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
    if error.status == 403:
        return isinstance(read_page(url, str(error.body or "")), SignInPage)
    return error.status == 401 or error.status in _REDIRECTS


def _message(error: ApiException) -> str:
    """What the API says, without the request's details that follow on the next lines."""
    try:
        body = json.loads(error.body)
    except (TypeError, ValueError):
        return ""
    said = body.get("message") or body.get("error") if isinstance(body, dict) else ""
    return one_line(str(said or ""))
