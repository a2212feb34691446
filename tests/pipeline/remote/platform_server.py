"""Simulated Kubeflow platform on a real socket: gateway, Dex, UI and API."""

import asyncio
import ssl
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.pipeline.remote.gateways import OAUTH2_COOKIE, SESSION, Dex, Gateway, LoginOptions, page
from tests.pipeline.remote.kfp_api import USER, PipelinesApi
from tests.pipeline.remote.runs_api import problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = int | str | Callable[[], None]
OPEN = ("/dex/", "/oauth2/", "/login/", "/authservice/", "/foreign/")


class Platform:
    """State of the server, for tests to set and to read.

    Attributes:
        endpoint: Scheme, host and port.
        faults: Faults of the next requests whose path contains a text: a status; `reset`, `slow`, `loop` (a redirect to
            the same address), `web page`, `no right` (of Istio), `no permission` (of the API), `no login` (the API
            cannot check tokens), `cookie` (a failure that sets a cookie), an address to redirect to, or a function
            that is called before the request is answered.
        seen: Method and path of every request.
    """

    def __init__(self, options: LoginOptions) -> None:
        self.endpoint = ""
        self.dex = Dex(options)
        self.gateway = Gateway(options, self.dex)
        self.api = PipelinesApi()
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.seen: list[tuple[str, str]] = []

    def expire_sessions(self) -> None:
        self.gateway.sessions.clear()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._faults, self._authenticate])
        application.add_routes(self.dex.routes() + self.gateway.routes())
        application.add_routes([web.get("/pipeline/", self._home)])
        application.add_routes(self.api.routes("/pipeline") + self.api.routes("") + self.api.pages())
        return application

    async def _home(self, request: web.Request) -> web.Response:
        return page('<div id="root"></div>')

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        for text, faults in self.faults.items():
            if text in request.path and faults:
                fault = faults.pop(0)
                if callable(fault):
                    fault()
                elif answer := await self._faulty_answer(request, fault):
                    if fault == "loop":
                        faults.append(fault)
                    return answer
        return await handler(request)

    async def _faulty_answer(self, request: web.Request, fault: int | str) -> web.StreamResponse | None:
        answer: web.Response | None = None
        assert request.transport is not None
        match fault:
            case "reset":
                request.transport.abort()
            case "slow":  # until the client gives up
                while not request.transport.is_closing():
                    await asyncio.sleep(0.02)
            case "web page":
                answer = page('<div id="root"></div>')
            case "no right":  # text of Istio
                answer = web.Response(text="RBAC: access denied", status=403)
            case "no permission":
                raise problem(403, "PermissionDenied: User 'user@example.com' is not authorized")
            case "no login":
                raise problem(401, "Unauthenticated: Failed to review the token")
            case "cookie":
                answer = web.json_response({"message": "Failed"}, status=500)
                answer.set_cookie(OAUTH2_COOKIE, f"{SESSION}renewed")
            case "loop":
                answer = web.Response(status=302, headers={"Location": request.path_qs})
            case 403:  # of a gateway that cannot reach oauth2-proxy
                answer = web.Response(status=403)
            case int(status):
                answer = web.Response(text="upstream connect error", status=status)
            case address:
                answer = web.Response(status=301, headers={"Location": f"{address}{request.path_qs}"})
        return answer

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(OPEN):
            user = self.gateway.user_of(request)
            if user is None:
                return self.gateway.refuse(request)
            request[USER] = user
        return await handler(request)


@contextmanager
def serving(options: LoginOptions | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Platform]:
    """Run a platform in a separate thread."""
    platform = Platform(options or LoginOptions())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(platform.application(), access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    port = runner.addresses[0][1]
    platform.endpoint = f"{'https' if tls else 'http'}://localhost:{port}"
    try:
        yield platform
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
