"""Login at Kubeflow from outside the cluster.

Supports Dex behind oauth2-proxy (Kubeflow 1.9 and later), Dex behind oidc-authservice, and bearer tokens.
"""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import SecretStr

from container_component_src.errors import InputError
from pipeline.login.errors import PlatformError, broken_off, failing, one_line, too_slow, unreachable, untrusted
from pipeline.login.pages import ApprovalPage, ConnectorPage, Form, PasswordPage, SignInPage, read_page
from pipeline.login.settings import CONNECTOR, ENDPOINT, LOGIN_HOST, PASSWORD, TOKEN, USERNAME, RemoteSettings

HOME = "/pipeline/"  # a page, because requests below /apis/ get 401 and not a redirect to the login
_TIMEOUT = httpx.Timeout(60, connect=15)  # seconds
_MAX_PAGES = 10  # a login has at most four pages
_MAX_REDIRECTS = 15  # between two pages
_LOGGERS_WITH_SECRETS = ("httpx", "httpcore")  # they log addresses with one-time codes and headers with cookies


class AuthSession:
    """Authentication of requests by a session cookie or a bearer token, which are kept in memory only.

    Args:
        settings: The platform and its user.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._cookie: SecretStr | None = None

    @property
    def can_renew(self) -> bool:
        """Whether a new login may help after the platform has rejected the session."""
        return not self._settings.login.token

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that authenticate a request; the first call logs in.

        Raises:
            InputError: The platform rejects the login.
            PlatformError: The platform cannot be reached, or its login fails.
        """
        if self._settings.login.token:
            return {"Authorization": f"Bearer {self._settings.login.token.get_secret_value()}"}
        if self._cookie is None:
            self._cookie = log_in(self._settings)
        return {"Cookie": self._cookie.get_secret_value()} if self._cookie else {}

    def forget(self) -> None:
        """Drop the cookie, so that the next request logs in."""
        self._cookie = None


def log_in(settings: RemoteSettings) -> SecretStr:
    """Log in with user name and password.

    Args:
        settings: The platform and its user.

    Returns:
        Value of the `Cookie` header; empty if the platform needs no login.

    Raises:
        InputError: The platform rejects user name, password or connector.
        PlatformError: The platform cannot be reached, or its login fails.
    """
    with _no_secrets_in_log(), _translated_errors(settings.endpoint), _client(settings) as client:
        page = client.get(settings.endpoint + HOME)
        _check_address(page, settings.endpoint)
        return _complete_login(client, page, settings)


def ssl_context(settings: RemoteSettings) -> ssl.SSLContext:
    """Return the TLS settings that verify the platform's certificate.

    Raises:
        InputError: The file with the authorities contains no certificates.
    """
    authorities = settings.trust.authorities
    try:
        context = ssl.create_default_context(cafile=authorities) if authorities else httpx.create_ssl_context()
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{authorities} contains no certificates", fix="name a PEM file with the authority") from error
    if not settings.trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _client(settings: RemoteSettings) -> httpx.Client:
    return httpx.Client(
        verify=ssl_context(settings),
        timeout=_TIMEOUT,
        follow_redirects=True,
        max_redirects=_MAX_REDIRECTS,
        headers={"Accept": "text/html"},
    )


def _complete_login(client: httpx.Client, page: httpx.Response, settings: RemoteSettings) -> SecretStr:
    """Answer one page of the login after another until the home page, and return the `Cookie` header."""
    started = accepted = False
    for _ in range(_MAX_PAGES):
        read = read_page(str(page.url), page.text)
        if isinstance(read, PasswordPage):
            if accepted:
                raise _session_lost(settings.endpoint)
            page = _post_password(client, read, page.url, settings)
            accepted = True
        elif isinstance(read, ApprovalPage):
            page = client.post(read.form.action, data=read.form.fields)
        elif isinstance(read, ConnectorPage):
            page = client.get(_choose_connector(read.connectors, settings.login.connector))
        elif not started and (isinstance(read, SignInPage) or page.status_code in {401, 403}):
            page = client.get(f"{settings.endpoint}/oauth2/start?{urlencode({'rd': HOME})}")
            started = True
        elif accepted and isinstance(read, SignInPage):
            raise _session_lost(settings.endpoint)
        elif accepted and page.is_success and page.url.path != HOME:
            page = client.get(settings.endpoint + HOME)  # some installations show another page after the login
        else:
            _expect_home(page, settings, accepted)
            return SecretStr(client.build_request("GET", settings.endpoint + HOME).headers.get("cookie", ""))
    raise PlatformError(
        f"{settings.endpoint}: the login did not finish after {_MAX_PAGES} pages", fix=f"use {TOKEN} instead"
    )


def _post_password(
    client: httpx.Client, page: PasswordPage, url: httpx.URL, settings: RemoteSettings
) -> httpx.Response:
    """Post user name and password, but refuse a redirect that would pass them on to another address."""
    login = settings.login
    if login.connector and page.connector and page.connector != login.connector:
        raise _no_such_connector(login.connector, [page.connector])
    _check_destination(page.form, url, settings)
    secrets = {page.username_field: login.username, page.password_field: login.password.get_secret_value()}
    answer = client.post(page.form.action, data={**page.form.fields, **secrets}, follow_redirects=False)
    if answer.status_code in {307, 308}:
        raise PlatformError(
            f"{settings.endpoint}: the login redirects the password to another address", fix=f"use {TOKEN} instead"
        )
    if answer.next_request is not None:
        return client.send(answer.next_request, follow_redirects=True)
    if isinstance(read_page(str(answer.url), answer.text), PasswordPage):
        where = f" at connector '{page.connector}'" if page.connector else ""
        raise InputError(
            f"{settings.endpoint}: wrong user name or password{where}", fix=f"check {USERNAME} and {PASSWORD}"
        )
    return answer


def _check_destination(form: Form, page: httpx.URL, settings: RemoteSettings) -> None:
    """Check that the password goes to the host that shows the form, and never from https to http.

    The form is on the endpoint's own host, or on the one that the user allows: an endpoint can redirect to any other.
    """
    action, own = httpx.URL(form.action), httpx.URL(settings.endpoint)
    if (page.host, page.port) != (own.host, own.port) and page.host != settings.login.host:
        raise InputError(
            f"{settings.endpoint}: the login page is at {page.host}, so no password was sent",
            fix=f"set {LOGIN_HOST}={page.host} if that is the login of the platform",
        )
    secure = settings.endpoint.startswith("https:")
    if (action.host, action.port) != (page.host, page.port) or (secure and action.scheme != "https"):
        raise PlatformError(
            f"{settings.endpoint}: the login page at {page.host} sends passwords to {action.scheme}://{action.host}, "
            "so none was sent",
            fix=f"use {TOKEN} instead",
        )


def _choose_connector(connectors: dict[str, str], wanted: str) -> str:
    """Return the address of the wanted connector; by default that of the only one, or of the one named `local`."""
    if wanted and wanted not in connectors:
        raise _no_such_connector(wanted, sorted(connectors))
    if wanted or len(connectors) == 1 or "local" in connectors:
        return connectors[wanted] if wanted else connectors.get("local") or next(iter(connectors.values()))
    offered = ", ".join(sorted(connectors))
    raise InputError("the login offers several connectors", fix=f"name one of {offered} in {CONNECTOR}")


def _no_such_connector(wanted: str, offered: list[str]) -> InputError:
    return InputError(f"{CONNECTOR}={wanted}: the login does not offer it", fix=f"use one of {', '.join(offered)}")


def _session_lost(endpoint: str) -> PlatformError:
    return PlatformError(
        f"{endpoint}: accepts the login but does not keep the session",
        fix=f"check that {ENDPOINT} is the address that browsers use, with https if they do",
    )


def _check_address(page: httpx.Response, endpoint: str) -> None:
    """Refuse an address that redirects to another one: the login, its cookies and the API must share one address."""
    wanted = httpx.URL(endpoint)
    for url in (answer.url for answer in (*page.history, page)):
        if url.path == HOME and (url.scheme, url.host, url.port) != (wanted.scheme, wanted.host, wanted.port):
            target = str(url.copy_with(path="", query=None, fragment=None)).rstrip("/")
            raise InputError(f"{endpoint} redirects to {target}", fix=f"set {ENDPOINT} to that address")


def _expect_home(page: httpx.Response, settings: RemoteSettings, accepted: bool) -> None:
    """Check that the login ended on the page that it started from."""
    endpoint, status = settings.endpoint, page.status_code
    if status >= 500:
        raise failing(endpoint, status, page.reason_phrase)
    if status == HTTPStatus.FORBIDDEN and not page.content:  # a refusal of this user has a text
        raise PlatformError(
            f"{endpoint}: the gateway refuses without a reason ({status}), as it does while oauth2-proxy restarts",
            fix="try again",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
    if status in {401, 403}:
        problem = "this user has no access" if accepted else "access refused without a login page"
        fix = f"check {ENDPOINT} and the rights of the user"
        raise PlatformError(f"{endpoint}: {problem} ({status})", fix=fix, status=status)
    if not page.is_success:
        problem = f"{endpoint}: no Kubeflow Pipelines at this address ({status} for {HOME})"
        raise PlatformError(problem, fix=f"check {ENDPOINT}", status=status)
    if (page.url.host, page.url.path) != (urlsplit(endpoint).hostname, HOME):
        raise InputError(
            f"{page.url.host}: no form for user name and password",
            fix=f"name a connector that has one in {CONNECTOR}, or use {TOKEN}",
        )


@contextmanager
def _translated_errors(endpoint: str) -> Iterator[None]:
    """Turn errors of httpx into PlatformErrors."""
    try:
        yield
    except httpx.TooManyRedirects as error:
        raise PlatformError(
            f"{endpoint}: the login redirects in a circle",
            fix=f"check that {ENDPOINT} is the address that browsers use",
        ) from error
    except httpx.TimeoutException as error:
        raise too_slow(endpoint, _TIMEOUT.read or 0) from error
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise untrusted(endpoint, one_line(str(error))) from error
        raise unreachable(endpoint, one_line(str(error))) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise broken_off(endpoint) from error


@contextmanager
def _no_secrets_in_log() -> Iterator[None]:
    """Keep addresses with one-time codes and headers with cookies out of the log."""
    loggers = [logging.getLogger(name) for name in _LOGGERS_WITH_SECRETS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
