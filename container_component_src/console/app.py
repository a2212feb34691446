"""The console as a web application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated

import orjson
from fastapi import APIRouter, FastAPI, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import StringConstraints
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware

from container_component_src.alarms.alarm import Alarm
from container_component_src.console.access import Access
from container_component_src.console.guard import Guard
from container_component_src.console.hub import Hub
from container_component_src.console.pages import login_routes, page_routes
from container_component_src.console.series import Ranges, alarm_series
from container_component_src.console.sources import Sources
from container_component_src.console.state import State, shown_verdict
from container_component_src.errors import PipelineError
from container_component_src.steps.console import Console
from container_component_src.telemetry.verdicts import Feedback, Verdict
from container_component_src.values import Frozen

LONGEST_COMMENT, LONGEST_NAME = 1000, 100  # characters
_PLOTS_AT_ONCE = 2  # that are read from the payload log

logger = logging.getLogger(__name__)


class GivenVerdict(Frozen, defer_build=False):  # FastAPI warns of a body whose validator is not built
    """Body of a request that gives a verdict."""

    verdict: Verdict
    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME)]
    comment: Annotated[str, StringConstraints(max_length=LONGEST_COMMENT)] = ""


@dataclass
class Live:
    """What the routes work with.

    Attributes:
        arguments: Arguments of the command.
        sources: The files.
        now: Clock of the verdicts, nanoseconds since 1970-01-01 UTC.
        ranges: Usual values by channel, in engineering units.
        given: Verdicts that were given here since the last look at the files began.
    """

    arguments: Console
    sources: Sources
    now: Callable[[], int]
    ranges: Ranges = field(default_factory=dict)
    given: dict[str, Feedback] = field(default_factory=dict)
    watching: asyncio.Task[None] | None = None
    state: State = field(default_factory=State)
    hub: Hub = field(default_factory=Hub)
    plots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PLOTS_AT_ONCE))

    async def refresh(self) -> None:
        """Look at the files once, and tell the browsers what has changed."""
        self.given.clear()
        found = await asyncio.to_thread(self.sources.poll)
        if found.verdicts is not None:  # it may have been read before a verdict was written
            found = replace(found, verdicts={**found.verdicts, **self.given})
        for name, content in self.state.apply(found):
            self.hub.publish(name, content)

    async def watch(self) -> None:
        """Look at the files until the task is cancelled."""
        while True:
            await asyncio.sleep(self.arguments.poll_seconds)
            await self.refresh()

    async def give(self, alarm: Alarm, given: GivenVerdict) -> Feedback:
        """Write a verdict, and tell the browsers."""
        verdict = Feedback(
            alarm_id=alarm.id,
            start=alarm.start,
            end=alarm.end,
            verdict=given.verdict,
            comment=given.comment,
            by=given.by,
            at=self.now(),
            model_version=alarm.model_version,
            subsystem=alarm.subsystem,
        )
        await asyncio.to_thread(self.sources.verdicts.add, verdict)
        self.given[verdict.alarm_id] = verdict
        self.hub.publish(*self.state.give(verdict))
        return verdict

    def alarm(self, alarm_id: str) -> Alarm:
        """Return an alarm by its ID.

        Raises:
            HTTPException: There is none.
        """
        if alarm_id not in self.state.alarms:
            raise HTTPException(404, f"no alarm {alarm_id[:100]}")
        return self.state.alarms[alarm_id]


def create_app(live: Live, access: Access) -> FastAPI:
    """Return the application; it looks at the files while it runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await live.refresh()
        live.watching = asyncio.create_task(live.watch())
        live.watching.add_done_callback(_log_failure)
        yield
        live.watching.cancel()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.include_router(_routes(live))
    app.include_router(page_routes(live.arguments.title, access.needed))
    app.include_router(login_routes(live.arguments.title, access))
    app.add_middleware(GZipMiddleware, minimum_size=10_000)
    app.add_middleware(Guard, access=access, on_loopback=live.arguments.on_loopback)  # the outermost one
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(PipelineError, _failed)
    app.add_exception_handler(OSError, _failed)
    return app


def _routes(live: Live) -> APIRouter:
    routes = APIRouter()

    @routes.get("/healthz")
    async def health() -> Response:
        fine = live.watching is not None and not live.watching.done()
        return JSONResponse({"status": "ok" if fine else "the files are no longer read"}, 200 if fine else 503)

    @routes.get("/api/state")
    async def state() -> Response:
        payload = live.sources.payloads is not None
        return _json({**live.state.shown(), "last_event": live.hub.last_id, "payload_log": payload})

    @routes.get("/api/events")
    async def events(after: str = "", last_event_id: Annotated[str, Header()] = "") -> Response:
        headers = {"x-accel-buffering": "no"}  # nginx would keep events back
        return StreamingResponse(
            live.hub.stream(last_event_id or after), media_type="text/event-stream", headers=headers
        )

    @routes.get("/api/alarms/{alarm_id}/series")
    async def series(alarm_id: str) -> Response:
        alarm, payloads = live.alarm(alarm_id), live.sources.payloads
        if payloads is None:
            raise HTTPException(404, "there is no payload log")
        async with live.plots:
            return _json(await asyncio.to_thread(alarm_series, payloads, alarm, live.ranges))

    @routes.post("/api/alarms/{alarm_id}/verdict")
    async def give(alarm_id: str, given: GivenVerdict, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "send JSON")
        return _json(shown_verdict(await live.give(live.alarm(alarm_id), given)))

    return routes


def _log_failure(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and (error := watching.exception()):
        logger.error("the files are no longer read", exc_info=error)


def _json(content: object) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - what it is registered for
    return JSONResponse({"problem": error.detail}, error.status_code)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    problems = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors()[:5])
    return JSONResponse({"problem": problems[:500]}, 422)


async def _failed(_: Request, error: Exception) -> Response:
    return JSONResponse({"problem": str(error)}, 503)
