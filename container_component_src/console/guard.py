"""What every request must pass before it reaches the console: host, size, origin, and a session or the token."""

import asyncio
import logging
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from container_component_src.console.access import Access
from container_component_src.steps.console import is_loopback

COOKIE = "console_session"
MOST_BODY_BYTES = 16 * 2**10
READ_SECONDS = 30.0  # for a part of a request
PUBLIC = ("/login", "/healthz", "/static/")  # what needs no session
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would hide the origin of the console's own forms
    "x-content-type-options": "nosniff",
}

logger = logging.getLogger(__name__)


class Guard:
    """Refuses requests that must not reach the application, and adds headers to all answers.

    Args:
        app: The application.
        access: Tokens and sessions.
        on_loopback: Whether only this machine can reach the console. A page of another site may then still reach it by
            a host name of its own that leads here (DNS rebinding), so the host must be this machine's.
    """

    def __init__(self, app: ASGIApp, access: Access, on_loopback: bool) -> None:
        self._app = app
        self._access = access
        self._on_loopback = on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message)
            await send(message)

        answer = self._refusal(scope, Headers(scope=scope)) or self._app
        await answer(scope, _limited(receive), with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request that must not pass, otherwise None."""
        if self._on_loopback and not _names_this_machine(headers.get("host", "")):
            return _problem(421, "this console is reached as localhost only")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return _problem(413, _too_large())
        if scope["method"] not in ("GET", "HEAD") and not is_same_origin(headers):
            return _problem(403, "the request comes from another site")
        path = scope["path"]
        if not self._access.needed or path.startswith(PUBLIC):
            return None
        return self._without_session(scope, headers)

    def _without_session(self, scope: Scope, headers: Headers) -> Response | None:
        if self._access.is_session(session_of(headers)):
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return refused_token(self._access, token.strip(), address_of(scope))
        if scope["path"] == "/":
            return RedirectResponse("login", 303)
        return _problem(401, "sign in")


def refused_token(access: Access, token: str, address: str) -> Response | None:
    """Return the answer to a token that is wrong or comes too often, otherwise None."""
    if wait := access.must_wait(address):
        headers = {"retry-after": str(int(wait) + 1)}
        return JSONResponse({"problem": "too many wrong tokens; try again in a minute"}, 429, headers)
    if access.is_token(token, address):
        return None
    logger.warning("a wrong token from %s", address)
    return _problem(401, "the token is wrong")


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def session_of(headers: Headers) -> str:
    """Return the value of the session's cookie, or an empty text."""
    try:
        cookies: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def is_same_origin(headers: Headers) -> bool:
    """Return whether a request that changes something comes from the console's own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _names_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)


def _limited(receive: Receive) -> Receive:
    """Limit the bytes of a body, which need not say how long it is, and the time until its next part."""
    total, complete = 0, False

    async def counted() -> MutableMapping[str, Any]:
        nonlocal total, complete
        try:
            message = await asyncio.wait_for(receive(), None if complete else READ_SECONDS)
        except TimeoutError:
            raise HTTPException(408, "the request is not complete") from None
        complete = not message.get("more_body")
        total += len(message.get("body", b""))
        if total > MOST_BODY_BYTES:
            raise HTTPException(413, _too_large())
        return message

    return counted


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


def _too_large() -> str:
    return f"a request has at most {MOST_BODY_BYTES:,} bytes"


def _problem(status: int, problem: str) -> Response:
    return JSONResponse({"problem": problem}, status)
