"""Login at Kubeflow from outside: Dex behind oauth2-proxy (Kubeflow 1.9 and later) or oidc-authservice, or a token."""

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
from pipeline.login.settings import CONNECTOR, ENDPOINT, PASSWORD, TOKEN, USERNAME, RemoteSettings

HOME = "/pipeline/"  # a page, for a path below /apis/ is answered with 401 instead of the way to the login
_TIMEOUT = httpx.Timeout(60, connect=15)  # seconds
_MOST_PAGES = 10  # a login has at most four
_MOST_REDIRECTS = 15  # between two pages
_SEES_SECRETS = ("httpx", "httpcore")  # their loggers: addresses with one-time codes, headers with cookies


class AuthSession:
    """Who the platform takes us for: a session cookie or a bearer token, kept in memory only.

    Args:
        settings: The platform, and who logs in.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._cookie: SecretStr | None = None

    @property
    def can_renew(self) -> bool:
        """Whether a new login may help when the platform no longer knows us."""
        return not self._settings.login.token

    def headers(self) -> dict[str, str]:
        """HTTP headers that authenticate a request; the first call logs in.

        Raises:
            InputError: The platform does not take the login.
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
        settings: The platform, and who logs in.

    Returns:
        Value of the `Cookie` header; empty if the platform asks for no login.

    Raises:
        InputError: User name, password or connector are not taken.
        PlatformError: The platform cannot be reached, or its login fails.
    """
    with _quiet(), _translated_errors(settings.endpoint), _client(settings) as client:
        page = client.get(settings.endpoint + HOME)
        _check_address(page, settings.endpoint)
        started = accepted = False
        for _ in range(_MOST_PAGES):
            asked = read_page(str(page.url), page.text)
            if isinstance(asked, PasswordPage):
                if accepted:
                    raise _not_kept(settings.endpoint)
                page = _give_password(client, asked, page.url, settings)
                accepted = True
            elif isinstance(asked, ApprovalPage):
                page = client.post(asked.form.action, data=asked.form.fields)
            elif isinstance(asked, ConnectorPage):
                page = client.get(_choose(asked.connectors, settings.login.connector))
            elif not started and (isinstance(asked, SignInPage) or page.status_code in {401, 403}):
                page = client.get(f"{settings.endpoint}/oauth2/start?{urlencode({'rd': HOME})}")
                started = True
            elif accepted and isinstance(asked, SignInPage):
                raise _not_kept(settings.endpoint)
            elif accepted and page.is_success and page.url.path != HOME:
                page = client.get(settings.endpoint + HOME)  # some installations lead to another page after the login
            else:
                _expect_home(page, settings, accepted)
                return SecretStr(client.build_request("GET", settings.endpoint + HOME).headers.get("cookie", ""))
        raise PlatformError(f"{settings.endpoint}: the login does not end after {_MOST_PAGES} pages: use {TOKEN}")


def ssl_context(settings: RemoteSettings) -> ssl.SSLContext:
    """How the platform's certificate is verified.

    Raises:
        InputError: The bundle holds no certificates.
    """
    authorities = settings.trust.authorities
    try:
        context = ssl.create_default_context(cafile=authorities) if authorities else httpx.create_ssl_context()
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{authorities}: holds no certificates; name a PEM file with the authority") from error
    if not settings.trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _client(settings: RemoteSettings) -> httpx.Client:
    return httpx.Client(
        verify=ssl_context(settings),
        timeout=_TIMEOUT,
        follow_redirects=True,
        max_redirects=_MOST_REDIRECTS,
        headers={"Accept": "text/html"},
    )


def _give_password(
    client: httpx.Client, page: PasswordPage, url: httpx.URL, settings: RemoteSettings
) -> httpx.Response:
    """Post user name and password; a redirect that would hand them on is refused."""
    login = settings.login
    if login.connector and page.connector and page.connector != login.connector:
        raise _no_such_connector(login.connector, [page.connector])
    _check_destination(page.form, url, settings)
    secrets = {page.username_field: login.username, page.password_field: login.password.get_secret_value()}
    answer = client.post(page.form.action, data={**page.form.fields, **secrets}, follow_redirects=False)
    if answer.status_code in {307, 308}:
        raise PlatformError(f"{settings.endpoint}: the login hands the password on to another address: use {TOKEN}")
    if answer.next_request is not None:
        return client.send(answer.next_request, follow_redirects=True)
    if isinstance(read_page(str(answer.url), answer.text), PasswordPage):
        where = f" at connector '{page.connector}'" if page.connector else ""
        raise InputError(f"{settings.endpoint}: wrong user name or password{where}: check {USERNAME} and {PASSWORD}")
    return answer


def _check_destination(form: Form, page: httpx.URL, settings: RemoteSettings) -> None:
    """Let the password go to the host alone that shows the form, and never from https to http."""
    action = httpx.URL(form.action)
    secure = settings.endpoint.startswith("https:")
    if (action.host, action.port) != (page.host, page.port) or (secure and action.scheme != "https"):
        raise PlatformError(
            f"{settings.endpoint}: the login page at {page.host} sends passwords to {action.scheme}://{action.host}: "
            f"nothing was sent; use {TOKEN}"
        )


def _choose(connectors: dict[str, str], wanted: str) -> str:
    """Address of the wanted connector; without a wish the only one, or the one for static passwords."""
    if wanted and wanted not in connectors:
        raise _no_such_connector(wanted, sorted(connectors))
    if wanted or len(connectors) == 1 or "local" in connectors:
        return connectors[wanted] if wanted else connectors.get("local") or next(iter(connectors.values()))
    raise InputError(f"the login offers several connectors: name one of {', '.join(sorted(connectors))} in {CONNECTOR}")


def _no_such_connector(wanted: str, offered: list[str]) -> InputError:
    return InputError(f"{CONNECTOR}={wanted}: the login offers {', '.join(offered)}; set it to one that is offered")


def _not_kept(endpoint: str) -> PlatformError:
    return PlatformError(
        f"{endpoint}: takes the login but does not keep it: "
        f"check that {ENDPOINT} is the address that browsers use, with https if they do"
    )


def _check_address(page: httpx.Response, endpoint: str) -> None:
    """Refuse an address that only leads to another: the login, its cookies and the API belong to one."""
    wanted = httpx.URL(endpoint)
    for url in (answer.url for answer in (*page.history, page)):
        if url.path == HOME and (url.scheme, url.host, url.port) != (wanted.scheme, wanted.host, wanted.port):
            leads_to = str(url.copy_with(path="", query=None, fragment=None)).rstrip("/")
            raise InputError(f"{endpoint}: leads to {leads_to}: set {ENDPOINT} to that address")


def _expect_home(page: httpx.Response, settings: RemoteSettings, accepted: bool) -> None:
    """Check that the login ended where it was to lead."""
    endpoint, status = settings.endpoint, page.status_code
    if status >= 500:
        raise failing(endpoint, status, page.reason_phrase)
    if status == HTTPStatus.FORBIDDEN and not page.content:  # one that means this user would say so
        reason = "refuses without a word, as it does while oauth2-proxy restarts"
        raise PlatformError(f"{endpoint}: the gateway {reason} ({status}): try again", HTTPStatus.SERVICE_UNAVAILABLE)
    if status in {401, 403}:
        what = "this user may not enter" if accepted else "refuses without a login page"
        raise PlatformError(f"{endpoint}: {what} ({status}): check {ENDPOINT} and the user's rights", status)
    if not page.is_success:
        raise PlatformError(f"{endpoint}: no Kubeflow Pipelines there ({status} for {HOME}): check {ENDPOINT}", status)
    if (page.url.host, page.url.path) != (urlsplit(endpoint).hostname, HOME):
        raise InputError(
            f"{page.url.host}: no form for user name and password: "
            f"name a connector that has one in {CONNECTOR}, or use {TOKEN}"
        )


@contextmanager
def _translated_errors(endpoint: str) -> Iterator[None]:
    """Turn what httpx raises into one line."""
    try:
        yield
    except httpx.TooManyRedirects as error:
        raise PlatformError(
            f"{endpoint}: the login goes round in circles: check that {ENDPOINT} is the address that browsers use"
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
def _quiet() -> Iterator[None]:
    """Keep addresses with one-time codes, and headers with cookies, out of the log."""
    loggers = [logging.getLogger(name) for name in _SEES_SECRETS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
