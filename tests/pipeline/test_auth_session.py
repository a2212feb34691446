import dataclasses
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import httpx
import pytest
import trustme
from pydantic import SecretStr

from container_component_src.errors import InputError, PipelineError
from pipeline import auth_session
from pipeline.auth_session import AuthSession
from pipeline.login.errors import PlatformError
from pipeline.login.settings import Login, RemoteSettings, Trust
from tests.pipeline.remote.gateways import (
    LDAP_PASSWORD,
    LDAP_USERNAME,
    PASSWORD,
    SECRETS,
    TOKEN,
    USERNAME,
    LoginOptions,
)
from tests.pipeline.remote.platform_server import Platform, serving

USER = Login(USERNAME, SecretStr(PASSWORD))
ANNA = Login(LDAP_USERNAME, SecretStr(LDAP_PASSWORD), connector="ldap")
BOTH = {"local": {USERNAME: PASSWORD}, "ldap": {LDAP_USERNAME: LDAP_PASSWORD}}
LDAP_ONLY = {"ldap": {LDAP_USERNAME: LDAP_PASSWORD}}


def session_at(platform: Platform, login: Login = USER, trust: Trust | None = None) -> AuthSession:
    return AuthSession(RemoteSettings(platform.endpoint, login, "user", "", trust or Trust()))


def user_of(platform: Platform, session: AuthSession) -> str:
    """Return the user of the session according to the platform."""
    request = Request(f"{platform.endpoint}/pipeline/apis/v2beta1/healthz", headers=session.headers())
    with urlopen(request, context=ssl._create_unverified_context()) as answer:
        assert json.load(answer)["multi_user"]
    return next(iter(platform.gateway.sessions.values()))


@pytest.mark.parametrize("approval", [True, False])
@pytest.mark.parametrize(
    ("gateway", "sign_in_page"), [("oauth2-proxy", True), ("oauth2-proxy", False), ("oidc-authservice", False)]
)
@pytest.mark.parametrize(("connectors", "login"), [({"local": BOTH["local"]}, USER), (BOTH, USER), (BOTH, ANNA)])
def test_login(
    gateway: str, sign_in_page: bool, approval: bool, connectors: dict[str, dict[str, str]], login: Login
) -> None:
    with serving(LoginOptions(gateway, sign_in_page, connectors, approval)) as platform:
        session = session_at(platform, login)
        assert user_of(platform, session) == login.username
        assert platform.gateway.logins == 1


def test_only_connector_need_not_be_named() -> None:
    with serving(LoginOptions(connectors=LDAP_ONLY)) as platform:
        login = Login(LDAP_USERNAME, SecretStr(LDAP_PASSWORD))
        assert user_of(platform, session_at(platform, login)) == LDAP_USERNAME


def test_forgotten_session_logs_in_again(platform: Platform) -> None:
    session = session_at(platform)
    first = session.headers()
    assert session.headers() == first
    session.forget()
    assert session.headers() != first
    assert platform.gateway.logins == 2


def test_platform_without_login_needs_no_cookie() -> None:
    with serving(LoginOptions(gateway="none")) as platform:
        assert session_at(platform).headers() == {}


def test_token_replaces_the_login(platform: Platform) -> None:
    session = session_at(platform, Login(token=SecretStr(TOKEN)))
    assert session.headers() == {"Authorization": f"Bearer {TOKEN}"}
    assert not session.can_renew
    assert platform.seen == []


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("gateway", ["oauth2-proxy", "oidc-authservice"])
def test_wrong_password_is_reported(gateway: str, status: int) -> None:
    with (
        serving(LoginOptions(gateway, wrong_password_status=status)) as platform,
        pytest.raises(InputError, match="wrong user name or password at connector 'local'; check KUBEFLOW_USERNAME"),
    ):
        session_at(platform, Login(USERNAME, SecretStr("guess"))).headers()
    assert len([path for method, path in platform.seen if method == "POST"]) == 1  # no lock-out by trying again


@pytest.mark.parametrize(
    ("connectors", "wanted", "message"),
    [
        (BOTH, "github", "KUBEFLOW_CONNECTOR=github: the login does not offer it; use one of ldap, local"),
        (LDAP_ONLY, "local", "KUBEFLOW_CONNECTOR=local: the login does not offer it; use one of ldap"),
        ({"ldap": {"a": "b"}, "crowd": {"a": "b"}}, "", "several connectors; name one of crowd, ldap"),
        ({"local": {}}, "", "no form for user name and password"),
        ({**BOTH, "github": {}}, "github", "no form for user name and password"),
    ],
)
def test_wrong_connector_is_reported(connectors: dict[str, dict[str, str]], wanted: str, message: str) -> None:
    with (
        serving(LoginOptions(connectors=connectors)) as platform,
        pytest.raises(InputError, match=message),
    ):
        session_at(platform, Login(USERNAME, SecretStr(PASSWORD), connector=wanted)).headers()


def test_session_that_is_not_kept_is_reported() -> None:
    with (
        serving(LoginOptions(keep_session=False)) as platform,
        pytest.raises(PlatformError, match="accepts the login but does not keep the session"),
    ):
        session_at(platform).headers()


@pytest.mark.parametrize(
    ("path", "fault", "message"),
    [
        ("/pipeline/", "loop", "redirects in a circle"),
        ("/dex/auth", "loop", "redirects in a circle"),
        ("/pipeline/", 404, r"no Kubeflow Pipelines at this address \(404"),
        ("/pipeline/", 503, "answers 503 Service Unavailable"),
        ("/dex/auth/local/login", 500, "answers 500 Internal Server Error"),
        ("/oauth2/callback", "no right", r"this user has no access \(403\)"),
        ("/oauth2/start", "no right", r"access refused without a login page \(403\)"),
        ("/oauth2/start", 403, r"refuses without a reason \(403\), .*; try again"),
        ("/dex/auth", "reset", "the connection broke"),
        ("/dex/auth", "slow", "no answer within 0.2 s"),
    ],
)
def test_fault_during_the_login_is_one_line(
    platform: Platform, path: str, fault: int | str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "slow":
        monkeypatch.setattr(auth_session, "_TIMEOUT", httpx.Timeout(0.2))
    platform.faults[path] = [fault]
    with pytest.raises(PlatformError, match=message) as caught:
        session_at(platform).headers()
    assert "\n" not in str(caught.value)


def test_unreachable_address_is_reported() -> None:
    with serving() as platform:
        pass
    with pytest.raises(PlatformError, match=r"not reachable \(.*refused\); check the address"):
        session_at(platform).headers()


def test_redirecting_address_is_reported_before_the_login(platform: Platform) -> None:
    elsewhere = platform.endpoint.replace("localhost", "127.0.0.1")
    platform.faults["/pipeline/"] = [elsewhere]
    with pytest.raises(InputError, match=f"redirects to {elsewhere}; set KUBEFLOW_ENDPOINT to that address"):
        session_at(platform).headers()
    assert "POST" not in [method for method, path in platform.seen]


def test_https_address_without_tls_is_reported(platform: Platform) -> None:
    platform.endpoint = platform.endpoint.replace("http:", "https:")
    with pytest.raises(
        PlatformError, match=r"not reachable \(.*\); the server does not use TLS: write http://localhost"
    ):
        session_at(platform).headers()


def test_password_is_not_sent_to_another_host() -> None:
    with (
        serving(LoginOptions(form_action="http://127.0.0.2/")) as platform,
        pytest.raises(PlatformError, match=r"sends passwords to http://127\.0\.0\.2, so none was sent"),
    ):
        session_at(platform).headers()


@pytest.mark.parametrize(("host", "sent"), [("", False), ("localhost.example.com", False), ("127.0.0.1", True)])
def test_password_is_sent_to_a_page_of_another_host_only_if_that_is_allowed(
    platform: Platform, host: str, sent: bool
) -> None:
    platform.faults["/dex/"] = [platform.endpoint.replace("localhost", "127.0.0.1")]
    login = dataclasses.replace(USER, host=host)
    message = "this user has no access" if sent else r"login page is at 127\.0\.0\.1, so no password was sent; set .*="
    with pytest.raises(PipelineError, match=message):
        session_at(platform, login).headers()
    assert ("POST" in [method for method, _ in platform.seen]) is sent


def test_password_does_not_follow_a_redirect() -> None:
    with serving(LoginOptions(hand_on="/foreign/login")) as platform:
        with pytest.raises(PlatformError, match="redirects the password to another address"):
            session_at(platform).headers()
        assert ("POST", "/foreign/login") not in platform.seen


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def https(authority: trustme.CA) -> Iterator[Platform]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(tls=context) as platform:
        yield platform


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def test_unknown_authority_is_not_trusted(https: Platform) -> None:
    with pytest.raises(PlatformError, match=r"certificate is not trusted \(.*local issuer.*\); name .* --ca-bundle"):
        session_at(https).headers()
    assert https.seen == []


def test_authority_in_the_ca_bundle_is_trusted(https: Platform, bundle: Path) -> None:
    assert user_of(https, session_at(https, trust=Trust(bundle))) == USERNAME


def test_any_certificate_is_trusted_on_request(https: Platform) -> None:
    assert user_of(https, session_at(https, trust=Trust(verify=False))) == USERNAME


def test_ca_bundle_does_not_disable_the_host_name_check(https: Platform, bundle: Path) -> None:
    https.endpoint = https.endpoint.replace("localhost", "127.0.0.1")
    with pytest.raises(PlatformError, match="not trusted"):
        session_at(https, trust=Trust(bundle)).headers()


def test_empty_ca_bundle_is_rejected(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(InputError, match=r"empty\.pem contains no certificates"):
        auth_session.ssl_context(RemoteSettings("https://localhost", USER, "user", "", Trust(empty)))


def test_logs_and_reprs_contain_no_secret(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    session = session_at(platform)
    cookie = session.headers()["Cookie"].partition("=")[2]
    platform.faults["/dex/"] = [500]
    session.forget()
    with pytest.raises(PlatformError) as caught:
        session.headers()
    told = caplog.text + repr(vars(session)) + str(caught.getrepr(style="long", showlocals=False))
    codes = list(platform.dex.codes)
    assert not [secret for secret in (*SECRETS, cookie[:20], *codes) if secret in told]
