"""The HTTP application: it answers inference, model metadata and metrics, and leaves all other paths to KServe.

KServe's own handlers of these paths turn binary tensors into lists of Python numbers, answer 500 to many invalid
requests, and spend more time around a row than the model does on it.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI

from container_component_src.serving.protocol.v2 import HEADER_LENGTH
from container_component_src.serving.server.kserve_hooks import FIXED_MODEL, KSERVE_APP
from container_component_src.serving.server.model import JSON, AnomalyModel, Reply, request_id
from container_component_src.serving.server.offload import INLINE_BYTES
from container_component_src.serving.server.refusals import (
    DisconnectedError,
    HttpError,
    headers_of,
    message_of,
    status_of,
)
from container_component_src.serving.server.scorers import RemoteScorer

T = TypeVar("T")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATHS = re.compile(
    r"/(?:v1/models/(?P<v1_model>[^/]+):(?P<v1_verb>predict|explain)"
    r"|v2/models/(?P<v2_model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<v2_verb>infer|ready))?"
    r"|v2/repository/models/(?P<loaded>[^/]+)/(?:un)?load"
    r"|(?P<metrics>metrics))"
)
_TEXT = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}

CLOSE = {"connection": "close"}
BODY_BYTES_PER_SECOND = 2**20  # a slower client gets no more time than the read timeout

logger = logging.getLogger(__name__)


class InferenceApp(FastAPI):
    """The application that takes the place of KServe's; KServe adds its own routes to it.

    Args:
        model: The served model.
    """

    def __init__(self, model: AnomalyModel) -> None:
        super().__init__(
            title=KSERVE_APP.title,
            version=KSERVE_APP.version,
            docs_url=KSERVE_APP.docs_url,
            openapi_url=KSERVE_APP.openapi_url if KSERVE_APP.docs_url else None,
            redoc_url=None,
            lifespan=lambda _: _until_stopped(model),
        )
        self._model = model

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        match = _PATHS.fullmatch(scope["path"]) if scope["type"] == "http" else None
        # KServe answers on readiness, because it may ask the predictor. It does not know versions.
        if match is None or (match["v2_verb"] == "ready" and match["version"] is None):
            await super().__call__(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers["x-request-id"] = request_id(headers)
        found = match.groupdict()
        verb = found["v1_verb"] or found["v2_verb"] or "metadata"
        try:
            if found["metrics"]:
                _check_method(scope["method"], "GET")
                reply = Reply(self._model.metrics.exposition(), _TEXT, 0, 0)
            elif found["loaded"]:
                raise HttpError(400, FIXED_MODEL)
            elif verb in ("predict", "infer"):
                reply = await self._infer(scope["method"], found, headers, receive)
            else:
                reply = self._describe(scope["method"], found, verb)
            parts = [reply.content] if isinstance(reply.content, bytes) else reply.content
            await _send(send, 200, parts, {**reply.headers, "x-request-id": headers["x-request-id"]})
        except DisconnectedError:
            return
        except Exception as error:
            if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.exception("request failed", extra={"request_id": headers["x-request-id"]})
            content = orjson.dumps({"error": message_of(error)})
            answer_headers = {**JSON, **headers_of(error), "x-request-id": headers["x-request-id"]}
            await _send(send, status_of(error), [content], answer_headers)

    async def _infer(self, method: str, found: dict[str, Any], headers: dict[str, str], receive: Receive) -> Reply:
        model = self._model
        protocol, answer = ("v1", model.answer_v1) if found["v1_verb"] else ("v2", model.answer_v2)
        with model.log.request(protocol, headers) as entry, model.admission.holding() as hold:
            _check_method(method, "POST")
            self._check_model(found)
            limits = model.service.limits
            limit = limits.body_bytes if protocol == "v2" and HEADER_LENGTH in headers else limits.json_bytes
            body = await _body(headers, receive, limit, model.service.options.arguments.read_timeout, hold)
            work = answer(body, headers)
            reply = await (work if model.answers_at_once(len(body)) else _unless_gone(receive, work))
            entry.answered(reply.rows, reply.alarms)
            return reply

    def _describe(self, method: str, found: dict[str, Any], verb: str) -> Reply:
        """Answer a request without rows."""
        _check_method(method, "POST" if verb == "explain" else "GET")
        self._check_model(found)
        if verb == "explain":
            raise HttpError(404, "there is no explainer; every prediction names the channels that contribute most")
        content = {"name": self._model.name, "ready": True} if verb == "ready" else self._model.metadata()
        return Reply(orjson.dumps(content), JSON, 0, 0)

    def _check_model(self, found: dict[str, Any]) -> None:
        name, version = found["v1_model"] or found["v2_model"], found["version"]
        if name != self._model.name:
            raise HttpError(404, f"Model with name {name} does not exist; this server has {self._model.name}.")
        if version not in (None, self._model.version):
            raise HttpError(404, f"version {version} of model {name} does not exist; it is {self._model.version}.")
        if not self._model.ready:
            raise HttpError(503, f"Model with name {name} is not ready.")


@asynccontextmanager
async def _until_stopped(model: AnomalyModel) -> AsyncIterator[None]:
    """Close the connections to the predictor and the payload log when the server stops."""
    yield
    await asyncio.to_thread(model.close_payload_log)
    if isinstance(scorer := model.service.scorer, RemoteScorer):
        await scorer.client.close()


def _check_method(method: str, allowed: str) -> None:
    if method != allowed and not (method == "HEAD" and allowed == "GET"):
        raise HttpError(405, f"method {method[:20]}; use {allowed}", {"allow": allowed})


async def _body(
    headers: dict[str, str], receive: Receive, limit: int, timeout: float, hold: Callable[[int], None]
) -> bytes:
    """Return the body of a request.

    Args:
        headers: Headers of the request.
        receive: Receives the parts of the body.
        limit: Most bytes.
        timeout: Seconds for a body, beside the time of the bytes at `BODY_BYTES_PER_SECOND`.
        hold: Called with the bytes so far.

    Raises:
        HttpError: The body is larger than the limit, compressed, or takes too long.
        OverloadedError: All requests together hold too many bytes.
        DisconnectedError: The client has gone.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, f"content-encoding {headers['content-encoding'][:40]}; send the body uncompressed")
    # The connection is kept, so that the client can send the rest, which is not kept, and gets the answer.
    too_large = HttpError(413, f"the body exceeds {limit} bytes; send fewer rows at a time")
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    chunks, size, latest = [], 0, asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(latest) as deadline:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError("the client has gone")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise too_large
                hold(size)
                if not message.get("more_body"):
                    return b"".join(chunks) if len(chunks) > 1 else bytes(chunks[0])
                deadline.reschedule(latest + size / BODY_BYTES_PER_SECOND)
    except TimeoutError as error:
        raise HttpError(408, f"only {size} bytes of the body came in time; send it faster", CLOSE) from error


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work, which is cancelled when the client goes.

    Raises:
        DisconnectedError: The client has gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise DisconnectedError("the client has gone")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _send(send: Send, status: int, parts: Sequence[bytes | memoryview], headers: dict[str, str]) -> None:
    named = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    size = sum(map(len, parts))
    named.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": status, "headers": named})
    if size <= INLINE_BYTES:
        parts = [b"".join(parts)]
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1]})
