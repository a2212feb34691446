"""The pages, their style sheets and scripts, and the login."""

from functools import cache
from importlib import resources
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from container_component_src.console.access import SESSION_SECONDS, Access
from container_component_src.console.guard import COOKIE, address_of, refused_token

_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _static() -> dict[str, tuple[bytes, str]]:
    package = resources.files(__package__) / "static"
    files = [file for file in package.iterdir() if file.name.rpartition(".")[2] in _KINDS]
    found = {file.name: (file.read_bytes(), _KINDS[file.name.rpartition(".")[2]]) for file in files}
    report = resources.files("container_component_src.report") / "template" / "style.css"
    return {**found, "report.css": (report.read_bytes(), _KINDS["css"])}


STATIC = _static()  # content and media type by name


def render(template: str, **values: object) -> str:
    """Return a page with its values filled in and escaped; a missing value is an error."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = PackageLoader(__package__, "template")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def page_routes(title: str, signed_in: bool) -> APIRouter:
    """Return the routes of the page and its files.

    Args:
        title: Title of the page.
        signed_in: Whether operators have signed in, and so can sign out.
    """
    routes = APIRouter()

    @routes.get("/")
    async def page() -> Response:
        return HTMLResponse(render("page.html.jinja", title=title, signed_in=signed_in))

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404, "no such file")
        content, kind = STATIC[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return routes


def login_routes(title: str, access: Access) -> APIRouter:
    """Return the routes by which operators sign in and out."""
    routes = APIRouter()

    @routes.get("/login")
    async def form() -> Response:
        return HTMLResponse(render("login.html.jinja", title=title, problem=""))

    @routes.post("/login")
    async def login(request: Request) -> Response:
        given = parse_qs((await request.body()).decode("ascii", "replace"), max_num_fields=5)
        token = given.get("token", [""])[0].strip()
        if refused := refused_token(access, token, address_of(request.scope)):
            late = refused.status_code == 429
            problem = "Too many wrong tokens. Try again in a minute." if late else "The token is wrong."
            page = render("login.html.jinja", title=title, problem=problem)
            return HTMLResponse(
                page, refused.status_code, {"retry-after": refused.headers["retry-after"]} if late else None
            )
        answer = RedirectResponse("./", 303)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        answer.set_cookie(
            COOKIE, access.new_session(), max_age=SESSION_SECONDS, secure=secure, httponly=True, samesite="strict"
        )
        return answer

    @routes.post("/logout")
    async def logout() -> Response:
        answer = RedirectResponse("login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes
