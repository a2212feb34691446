"""A Kubeflow platform on a real socket: gateway, Dex, the page of the pipelines' UI and the API behind it."""

import asyncio
import ssl
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.pipeline.remote.gateways import Dex, Gateway, LoginOptions, page
from tests.pipeline.remote.kfp_api import USER, PipelinesApi

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RESET, SLOW, LOOP = "reset", "slow", "loop"
OPEN = ("/dex/", "/oauth2/", "/login/", "/foreign/")


class Platform:
    """The server's state, for tests to set and to look at.

    Attributes:
        endpoint: Scheme, host and port.
        faults: What to do to the next requests whose path holds a text: a status, or `reset`, `slow` or `loop`;
            requests whose list is used up are answered normally.
        seen: Method and path of every request.
    """

    def __init__(self, options: LoginOptions) -> None:
        self.endpoint = ""
        self.dex = Dex(options)
        self.gateway = Gateway(options, self.dex)
        self.api = PipelinesApi()
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.seen: list[tuple[str, str]] = []

    def expire_sessions(self) -> None:
        self.gateway.sessions.clear()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._faults, self._authenticate])
        application.add_routes(self.dex.routes() + self.gateway.routes())
        application.add_routes([web.get("/pipeline/", self._home)])
        application.add_routes(self.api.routes("/pipeline") + self.api.routes(""))
        return application

    async def _home(self, request: web.Request) -> web.Response:
        return page('<div id="root"></div>')

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        for text, faults in self.faults.items():
            if text in request.path and faults:
                match faults.pop(0):
                    case "reset":
                        assert request.transport is not None
                        request.transport.abort()
                    case "slow":
                        await asyncio.sleep(30)
                    case "loop":
                        faults.append(LOOP)
                        raise web.HTTPFound(request.path_qs)
                    case int(status):
                        return web.Response(text="upstream connect error", status=status)
        return await handler(request)

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
    """Run a platform in a thread of its own."""
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
