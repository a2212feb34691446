"""Simulated login of Kubeflow: Dex, and oauth2-proxy or oidc-authservice in front of the platform."""

import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

from aiohttp import web

USERNAME, PASSWORD = "user@example.com", "s3cr3t-pass&word=+%41"  # characters that forms must escape
PROFILE = "kubeflow-user-example-com"  # namespace of this user
LDAP_USERNAME, LDAP_PASSWORD = "anna", "ldap-s3cr3t"
TOKEN = "bearer-s3cr3t-token"
SESSION = "session-s3cr3t-"  # prefix of all sessions
S3_KEY = "s3-s3cr3t"
SECRETS = (PASSWORD, LDAP_PASSWORD, TOKEN, SESSION, S3_KEY)
OAUTH2_COOKIE = "oauth2_proxy_kubeflow"
AUTHSERVICE_COOKIE = "authservice_session"


@dataclass
class LoginOptions:
    """Behaviour of the login.

    Attributes:
        gateway: `oauth2-proxy`, `oidc-authservice` or `none`.
        sign_in_page: Whether oauth2-proxy shows its page (403) or redirects at once.
        connectors: Passwords by user by connector; a connector without users leads to a foreign page.
        approval: Whether Dex asks for approval to share the user's identity.
        wrong_password_status: Dex's status for a wrong password; 200 before 2.36.
        keep_session: Whether session cookies reach the platform.
        form_action: Address that the password form posts to, if not Dex.
        hand_on: Address that Dex redirects the password to.
        refused_token: Text of the gateway for a token that it does not accept.
    """

    gateway: str = "oauth2-proxy"
    sign_in_page: bool = True
    connectors: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"local": {USERNAME: PASSWORD}})
    approval: bool = True
    wrong_password_status: int = 401
    keep_session: bool = True
    form_action: str = ""
    hand_on: str = ""
    refused_token: str = "Jwt issuer is not configured"


class Dex:
    """Dex below `/dex`, with its pages and redirects."""

    def __init__(self, options: LoginOptions) -> None:
        self.options = options
        self._requests: dict[str, dict[str, str]] = {}  # authorization requests by ID
        self._approvals: dict[str, str] = {}  # HMAC by request
        self.codes: dict[str, str] = {}  # user by one-time code

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/dex/auth", self.choose),
            web.get("/dex/auth/{connector}", self.connect),
            web.get("/dex/auth/{connector}/login", self.form),
            web.post("/dex/auth/{connector}/login", self.log_in),
            web.get("/dex/approval", self.ask),
            web.post("/dex/approval", self.approve),
            web.get("/foreign/login", self.foreign),
        ]

    async def choose(self, request: web.Request) -> web.Response:
        query = request.query_string
        links = [f"/dex/auth/{connector}?{query}" for connector in self.options.connectors]
        if len(links) == 1:
            raise web.HTTPFound(links[0])
        items = "".join(
            f'<div class="theme-form-row"><a href="{html.escape(link)}" target="_self">'
            f'<button class="dex-btn theme-btn-provider"><span>Log in with Email</span></button></a></div>'
            for link in links
        )
        return page(f'<h2 class="theme-heading">Log in to Dex</h2><div>{items}</div>')

    async def connect(self, request: web.Request) -> web.Response:
        connector = request.match_info["connector"]
        if connector not in self.options.connectors:
            return page('<div class="theme-panel">Bad Request: Requested resource does not exist</div>', 400)
        if not self.options.connectors[connector]:
            raise web.HTTPFound("/foreign/login")
        identity = secrets.token_hex(8)
        self._requests[identity] = dict(request.query)
        raise web.HTTPFound(f"/dex/auth/{connector}/login?{urlencode({'back': '', 'state': identity})}")

    async def form(self, request: web.Request) -> web.Response:
        return self._form(request, invalid=False)

    def _form(self, request: web.Request, invalid: bool) -> web.Response:
        if request.query.get("state") not in self._requests:
            return page("<div>Bad Request: User session error.</div>", 400)
        error = '<div id="login-error" class="dex-error-box">Invalid Email Address and password.</div>'
        return page(
            f'<form method="post" action="{html.escape(self.options.form_action or request.path_qs)}">'
            '<input tabindex="1" required id="login" name="login" type="text" placeholder="email address"/>'
            '<input tabindex="2" required id="password" name="password" type="password" placeholder="password"/>'
            f'{error if invalid else ""}<button tabindex="3" id="submit-login" type="submit">Login</button></form>',
            self.options.wrong_password_status if invalid else 200,
        )

    async def log_in(self, request: web.Request) -> web.Response:
        if self.options.hand_on:
            raise web.HTTPTemporaryRedirect(self.options.hand_on)
        given = await request.post()
        users = self.options.connectors[request.match_info["connector"]]
        user, identity = str(given.get("login")), request.query["state"]
        if given.get("password") != users.get(user, ""):
            return self._form(request, invalid=True)
        self._requests[identity]["user"] = user
        if not self.options.approval:
            raise self._to_client(identity)
        self._approvals[identity] = secrets.token_hex(8)
        raise web.HTTPSeeOther(f"/dex/approval?{urlencode({'req': identity, 'hmac': self._approvals[identity]})}")

    async def ask(self, request: web.Request) -> web.Response:
        identity = request.query["req"]
        if request.query.get("hmac") != self._approvals.get(identity):
            return page("Unauthorized request", 401)
        buttons = "".join(
            f'<form method="post"><input type="hidden" name="req" value="{identity}"/>'
            f'<input type="hidden" name="approval" value="{answer}"><button type="submit">{answer}</button></form>'
            for answer in ("rejected", "approve")
        )
        return page(f"<h2>Grant Access</h2>{buttons}")

    async def approve(self, request: web.Request) -> web.Response:
        given = await request.post()
        identity = request.query["req"]
        fits = request.query.get("hmac") == self._approvals.get(identity) and given.get("req") == identity
        if not fits or given.get("approval") != "approve":
            return page("Approval rejected.", 500)
        raise self._to_client(identity)

    def _to_client(self, identity: str) -> web.HTTPSeeOther:
        asked = self._requests.pop(identity)
        code = secrets.token_hex(12)
        self.codes[code] = asked["user"]
        return web.HTTPSeeOther(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def foreign(self, request: web.Request) -> web.Response:
        return page('<div id="root"></div><script src="/login.js"></script>')


class Gateway:
    """Gateway in front of the platform that manages its sessions."""

    def __init__(self, options: LoginOptions, dex: Dex) -> None:
        self.options = options
        self.sessions: dict[str, str] = {}  # user by cookie
        self.logins = 0
        self._dex = dex
        self._states: dict[str, str] = {}  # target of the redirect by state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oauth2/start", self.start),
            web.get("/oauth2/callback", self.callback),
            web.get("/login/oidc", self.callback),
            web.get("/authservice/oidc/callback", self.callback),
        ]

    def user_of(self, request: web.Request) -> str | None:
        if self.options.gateway == "none":
            return USERNAME
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return USERNAME
        return self.sessions.get(self._cookie_value(request))

    def _cookie_value(self, request: web.Request) -> str:
        return "".join(request.cookies.get(name, "") for name in self._cookies)

    @property
    def _cookies(self) -> list[str]:
        """Names of the session cookies; oauth2-proxy splits a cookie that is too long for browsers."""
        if self.options.gateway == "oauth2-proxy":
            return [f"{OAUTH2_COOKIE}_{index}" for index in range(2)]
        return [AUTHSERVICE_COOKIE]

    @property
    def _csrf_cookie(self) -> str:
        return f"{OAUTH2_COOKIE}_csrf" if self.options.gateway == "oauth2-proxy" else "oidc_state_csrf"

    def refuse(self, request: web.Request) -> web.Response:
        """Answer a request without authentication."""
        if "Authorization" in request.headers:
            return web.Response(text=self.options.refused_token, status=401)
        if self.options.gateway == "oidc-authservice":
            raise self._to_dex(request.path_qs, "/authservice/oidc/callback")
        if "/apis/" in request.path or "/api/" in request.path or request.headers.get("Accept") == "application/json":
            return web.json_response({}, status=401)
        if not self.options.sign_in_page:
            raise self._to_dex(request.path_qs, "/oauth2/callback")
        return page(
            '<div class="box block sign-in-box has-text-centered"><form method="GET" action="/oauth2/start">'
            f'<input type="hidden" name="rd" value="{html.escape(request.path_qs)}">'
            '<button type="submit" class="button block is-primary">Sign in with OpenID Connect</button></form></div>',
            403,
        )

    async def start(self, request: web.Request) -> web.Response:
        raise self._to_dex(request.query.get("rd", "/"), "/oauth2/callback")

    def _to_dex(self, back: str, callback: str) -> web.HTTPFound:
        state = secrets.token_hex(8)
        self._states[state] = back
        query = {
            "client_id": "kubeflow-oidc-authservice",
            "redirect_uri": callback,
            "response_type": "code",
            "scope": "profile email groups openid",
            "state": state,
        }
        if self.options.gateway == "oauth2-proxy":
            query |= {"prompt": "none", "code_challenge": secrets.token_urlsafe(32), "code_challenge_method": "S256"}
        found = web.HTTPFound(f"/dex/auth?{urlencode(query)}")
        found.set_cookie(self._csrf_cookie, state, httponly=True, path="/", samesite="Lax")
        return found

    async def callback(self, request: web.Request) -> web.Response:
        query = parse_qs(request.query_string)
        state, code = query["state"][0], query["code"][0]
        if request.cookies.get(self._csrf_cookie) != state or code not in self._dex.codes:
            return page("<h1>403 Forbidden</h1><p>Unable to find a valid CSRF token. Please try again.</p>", 403)
        self.logins += 1
        session = f"{SESSION}{secrets.token_hex(16)}"
        found = web.HTTPFound(self._states.pop(state))
        if self.options.keep_session:
            self.sessions[session] = self._dex.codes.pop(code)
            length = -(-len(session) // len(self._cookies))
            for index, name in enumerate(self._cookies):
                part = session[index * length : (index + 1) * length]
                found.set_cookie(name, part, httponly=True, path="/")
        found.del_cookie(self._csrf_cookie, path="/")
        raise found


def page(body: str, status: int = 200) -> web.Response:
    return web.Response(
        text=f"<!DOCTYPE html><html><body>{body}</body></html>", content_type="text/html", status=status
    )
