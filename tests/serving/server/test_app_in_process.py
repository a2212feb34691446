"""The application under load, with slow clients and with faults, without a server around it."""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from typing import Any, TypeVar
from unittest import mock

import httpx
import numpy as np
import pytest

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server.admission import SMALL_TURNS, Admission
    from container_component_src.serving.server.app import InferenceApp
    from container_component_src.serving.server.model import AnomalyModel
    from container_component_src.serving.server.predictor_client import PredictorReply
    from container_component_src.serving.server.roles import Role, ServingOptions, load
    from container_component_src.serving.server.scorers import RemoteScorer
    from container_component_src.serving.server.server import build_model

from container_component_src.serving.protocol.limits import Limits
from container_component_src.serving.protocol.v2 import HEADER_LENGTH, encode_request
from container_component_src.steps.serving import Server
from tests.serving.bundles import CHANNELS, ROW, make_bundle

T = TypeVar("T")
CLIENTS = 150
V1 = "/v1/models/model:predict"
V2 = "/v2/models/model/infer"
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]


class Gate:
    """An application that is reached only when the gate is open."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.open = asyncio.Event()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        self.waiting += 1
        await self.open.wait()
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder)
    return str(folder)


def model_of(bundle: str, role: Role = Role.COMBINED, **arguments: Any) -> AnomalyModel:
    service = load(ServingOptions(role, Server(model_dir=bundle, **arguments)), "http://predictor")
    model = AnomalyModel(service, build_model)
    model.ready = True
    return model


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server", timeout=60)


def ask_in_process(transformer: AnomalyModel, predictor: httpx.AsyncClient) -> None:
    """Have a transformer ask its predictor without connections."""
    scorer = transformer.service.scorer
    assert isinstance(scorer, RemoteScorer)

    async def post(parts: Sequence[bytes | memoryview], headers: dict[str, str]) -> PredictorReply:
        answer = await predictor.post(V2, content=b"".join(parts), headers=headers)
        return PredictorReply(answer.status_code, answer.content, answer.headers.get(HEADER_LENGTH))

    scorer.client.post = post  # type: ignore[method-assign, assignment]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 120))


async def settle() -> None:
    """Let all tasks go as far as they can without threads."""
    for _ in range(5000):
        await asyncio.sleep(0)


@pytest.mark.parametrize("waiting", [CLIENTS, 10])
def test_a_busy_predictor_is_not_reported_as_away(bundle: str, waiting: int) -> None:
    async def ask() -> None:
        gate = Gate(InferenceApp(model_of(bundle, Role.PREDICTOR)))
        transformer = model_of(bundle, Role.TRANSFORMER, max_waiting=waiting)
        ask_in_process(transformer, client(gate))
        async with client(InferenceApp(transformer)) as http:
            tasks = [asyncio.create_task(http.post(V1, json={"instances": [ROW] * 4})) for _ in range(CLIENTS)]
            await settle()
            assert gate.waiting == SMALL_TURNS
            gate.open.set()
            answers = await asyncio.gather(*tasks)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == max(0, CLIENTS - SMALL_TURNS - waiting)
        assert {answer.status_code for answer in answers} <= {200, 429}
        for answer in refused:
            assert answer.headers["retry-after"] == "1"
            assert "requests wait already; try again later" in answer.json()["error"]

    run(ask())


def test_a_predictor_with_too_much_to_do_is_answered_as_such(bundle: str) -> None:
    async def ask() -> httpx.Response:
        transformer = model_of(bundle, Role.TRANSFORMER)
        answer = httpx.MockTransport(lambda _: httpx.Response(429, json={"error": "…"}))
        ask_in_process(transformer, httpx.AsyncClient(transport=answer, base_url="http://predictor"))
        async with client(InferenceApp(transformer)) as http:
            return await http.post(V1, json={"instances": [ROW]})

    answer = run(ask())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "predictor has too much to do" in answer.json()["error"]


async def call(app: InferenceApp, path: str, messages: list[Any], headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """The messages of the answer to a request that has no more parts than these, and does not end with them."""
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "method": "POST", "headers": headers}, receive, send)
    return sent


def test_a_body_that_does_not_come_is_answered_408(bundle: str) -> None:
    app = InferenceApp(model_of(bundle, read_timeout=0.01))
    start, body = run(call(app, V1, [{"type": "http.request", "body": b"{", "more_body": True}], []))
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["error"] == "only 1 bytes of the body came in time; send it faster"


@pytest.mark.parametrize("waits", [True, False])
def test_the_work_for_a_client_that_has_gone_is_given_up(
    bundle: str, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        predictor = Gate(InferenceApp(model_of(bundle, Role.PREDICTOR)))
        transformer = model_of(bundle, Role.TRANSFORMER)
        ask_in_process(transformer, client(predictor))
        body = json.dumps({"instances": [ROW]}).encode()
        parts = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
        turns = [transformer.admission.turn(0) for _ in range(SMALL_TURNS if waits else 0)]
        for turn in turns:
            await turn.__aenter__()
        assert await call(InferenceApp(transformer), V1, parts, []) == []
        for turn in turns:
            await turn.__aexit__(None, None, None)
        async with transformer.admission.turn(0):  # its turn is free again
            assert predictor.waiting <= 1

    caplog.set_level(logging.INFO)
    run(ask())
    (record,) = [record for record in caplog.records if record.message == "request"]
    assert (record.status, record.error) == (499, "the client has gone")  # type: ignore[attr-defined]


def test_bodies_that_together_are_too_large_are_refused(bundle: str) -> None:
    async def ask() -> list[Any]:
        model = model_of(bundle)
        model.admission = Admission(0, 100_000)
        part = {"type": "http.request", "body": b" " * 400_001, "more_body": True}
        return await call(InferenceApp(model), V1, [part], [])

    assert run(ask())[0]["status"] == 429


def tensor(rows: int, datatype: str, binary: bool = True) -> tuple[bytes, dict[str, str]]:
    values = np.zeros((rows, len(CHANNELS)), datatype)
    body, headers = encode_request({"rows": values})
    return (body if binary else body.replace(b'"binary_data_output":true', b'"binary_data_output":null')), headers


MANY = 2**20 // 640  # rows that fit into a limit of 1 MiB
REQUESTS: dict[str, tuple[str, bytes, dict[str, str], int]] = {
    "rows": (V2, *tensor(MANY, "f4"), 200),
    "too many rows": (V2, *tensor(MANY + 1, "f4"), 413),
    "too many small values": (V2, *tensor(300_000, "u1"), 413),
    "a JSON answer": (V2, *tensor(1500, "f4", binary=False), 200),
    "empty instances": (V1, b'{"instances":[' + b"{}," * 10_000 + b"{}]}", {}, 413),
    "more JSON than may be": (V1, b" " * (2**18 + 1), {}, 413),
    "more JSON than may be in V2": (V2, b" " * (2**18 + 1), {}, 413),
}


@pytest.mark.parametrize(("path", "body", "headers", "status"), REQUESTS.values(), ids=REQUESTS)
def test_requests_are_limited(bundle: str, path: str, body: bytes, headers: dict[str, str], status: int) -> None:
    async def ask() -> httpx.Response:
        async with client(InferenceApp(model_of(bundle, max_body_mib=1))) as http:
            return await http.post(path, content=body, headers=headers)

    answer = run(ask())
    assert answer.status_code == status, answer.text
    assert status == 200 or "limit" in answer.text or "more than" in answer.text or "exceeds" in answer.text


@pytest.mark.parametrize("role", [Role.PREDICTOR, Role.COMBINED])
def test_an_answer_in_json_is_limited(bundle: str, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "answer_items", 100)

    async def ask() -> list[httpx.Response]:
        async with client(InferenceApp(model_of(bundle, role))) as http:
            requests = [tensor(20, "f4"), tensor(20, "f4", binary=False)]
            answers = [await http.post(V2, content=body, headers=headers) for body, headers in requests]
            return [*answers, await http.post(V1, json={"instances": [ROW] * 20})]

    binary, *in_json = run(ask())
    assert binary.status_code == 200
    for answer in in_json:
        assert answer.status_code == 413
        assert "values in JSON exceeds the limit of 100" in answer.json()["error"]


def test_a_failure_says_nothing_of_the_inside(bundle: str, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> httpx.Response:
        model = model_of(bundle)
        model.service.rows_of_json = mock.Mock(side_effect=ZeroDivisionError("inside"))  # type: ignore[method-assign]
        async with client(InferenceApp(model)) as http:
            return await http.post(V1, json={"instances": [ROW]})

    answer = run(ask())
    assert answer.status_code == 500
    assert answer.json()["error"] == "internal error; see the log of the server for this request id"
    assert "ZeroDivisionError: inside" in caplog.text


def test_refusals_cut_what_they_repeat(bundle: str) -> None:
    async def ask() -> list[httpx.Response]:
        long = "x" * 50_000
        async with client(InferenceApp(model_of(bundle))) as http:
            return [
                await http.post(f"/v1/models/{long}:predict", json={}),
                await http.get(f"/v2/models/model/versions/{long}"),
                await http.post(V1, json={"instances": [{**ROW, long: 1}]}),
                await http.post(V1, json={long: 1, "instances": [ROW]}),
                await http.post(V1, json={"instances": [ROW], "timestamps": [long]}),
                await http.post(V2, json={"inputs": [{"name": long, "shape": [1], "datatype": long, "data": [1]}]}),
                await http.post(V1, content=b"{}", headers={"content-encoding": long}),
            ]

    for answer in run(ask()):
        assert 400 <= answer.status_code < 500
        assert len(answer.content) < 2000
        assert answer.json()["error"]


@pytest.mark.parametrize("docs", [None, "/docs"])
def test_the_description_of_the_interface_is_served_on_request_only(
    bundle: str, docs: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container_component_src.serving.server.app.KSERVE_APP.docs_url", docs)

    async def ask() -> list[int]:
        async with client(InferenceApp(model_of(bundle))) as http:
            return [(await http.get(path)).status_code for path in ("/openapi.json", "/docs", "/redoc")]

    assert run(ask()) == ([200, 200, 404] if docs else [404] * 3)
