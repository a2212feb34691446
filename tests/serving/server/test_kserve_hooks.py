"""What the servers assume about KServe's private parts; a failing test names the part that KServe changed."""

import asyncio
import inspect
import sys
from typing import Any
from unittest import mock

import pytest
from fastapi import FastAPI

from container_component_src.errors import StepError
from container_component_src.serving.protocol.process import GRACE_PERIOD

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from kserve import InferRequest, ModelServer, model_server
    from kserve.constants.constants import FASTAPI_APP_IMPORT_STRING
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
    from kserve.protocol.grpc.server import GRPCServer
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension
    from kserve.protocol.rest.multiprocess import server as multiprocess_server
    from kserve.protocol.rest.server import RESTServer

    from container_component_src.serving.server import kserve_hooks

SHORT = 0.01  # seconds to wait for an answer that does not come
WORKER = multiprocess_server.RESTServerProcess

SIGNATURES = [
    (WORKER.__init__, "self sockets target log_config_file"),
    (WORKER.ping, "self timeout"),
    (WORKER.pong, "self"),
    (DataPlane.ready, "self"),
    (ModelRepositoryExtension.load, "self model_name"),
    (ModelRepositoryExtension.unload, "self model_name"),
]
CALLS = [
    (multiprocess_server.RESTServerMultiProcess.init_processes, "RESTServerProcess("),
    (multiprocess_server.RESTServerMultiProcess.keep_subprocess_alive, "RESTServerProcess("),
    (multiprocess_server.RESTServerMultiProcess.keep_subprocess_alive, ".is_alive()"),
    (WORKER.is_alive, "self.ping("),
    (RESTServer.create_application, f'import_from_string("{FASTAPI_APP_IMPORT_STRING}")'),
    (ModelServer.start, "self.dataplane,"),
    (ModelServer.start, "self.model_repository_extension,"),
    (ModelServer.start, "RESTServer("),
    (ModelServer.start, "GRPCServer("),
    (ModelServer.start, "self.register_signal_handler()"),
    (ModelServer.stop, "self._grpc_server.stop(sig)"),
    (ModelServer.register_signal_handler, "self.stop(sig)"),
    (multiprocess_server.RESTServerMultiProcess.__init__, "RESTServer("),
    (RESTServer.__init__, "self._server = _RefreshingServer(self.config)"),
    (RESTServer.create_application, "self._add_exception_handlers(app)"),
    (GRPCServer.start, "self._server = aio.server("),
    (GRPCServer.stop, "self._server.stop(grace=self._grace_period)"),
]


@pytest.mark.parametrize(("function", "parameters"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_kserve_keeps_the_signatures_that_are_overridden(function: Any, parameters: str) -> None:
    assert " ".join(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize(("function", "call"), CALLS, ids=lambda value: getattr(value, "__qualname__", value))
def test_kserve_uses_what_is_replaced(function: Any, call: str) -> None:
    assert call in inspect.getsource(function)


def test_kserve_serves_the_application_that_is_replaced() -> None:
    assert FASTAPI_APP_IMPORT_STRING == "kserve.model_server:app"


def test_kserve_keeps_the_binary_data_of_grpc_inputs() -> None:
    message = ModelInferRequest(
        inputs=[{"name": "rows", "datatype": "FP32", "shape": [1, 1]}], raw_input_contents=[b"\0\0\0\0"]
    )
    assert kserve_hooks.raw_contents(InferRequest.from_grpc(message)) == [b"\0\0\0\0"]
    del message.raw_input_contents[:]
    assert kserve_hooks.raw_contents(InferRequest.from_grpc(message)) == [None]


REPLACED = [
    (model_server, "app"),
    (model_server, "RESTServer"),
    (model_server, "GRPCServer"),
    (multiprocess_server, "RESTServer"),
    (multiprocess_server, "RESTServerProcess"),
]


@pytest.mark.parametrize(("owner", "name"), REPLACED)
def test_a_kserve_that_lacks_a_replaced_name_is_refused(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, part in REPLACED:
        monkeypatch.setattr(module, part, getattr(module, part))
    monkeypatch.delattr(owner, name)
    with pytest.raises(StepError, match=f"kserve has no {owner.__name__}.{name}"):
        kserve_hooks.install(FastAPI(), read_timeout=1.0, most_calls=1, most_fields=1)


def test_a_worker_may_answer_its_first_ping_late() -> None:
    process = kserve_hooks.SlowStartProcess([], print)
    assert [process.ping(SHORT) for _ in range(3)] == [True] * 3
    process.pong()
    assert process.ping(SHORT)
    assert not process.ping(SHORT)


def test_a_worker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kserve_hooks, "_START_SECONDS", -1.0)
    assert not kserve_hooks.SlowStartProcess([], print).ping(SHORT)


def test_a_server_that_is_told_to_stop_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = mock.Mock()
    monkeypatch.setattr("faulthandler.dump_traceback_later", timer)
    server = kserve_hooks.StoppableModelServer(enable_grpc=False)

    async def stop_twice() -> None:
        server.stop(15)
        server.stop(15)

    asyncio.run(stop_twice())
    timer.assert_called_once_with(GRACE_PERIOD, exit=True)
    assert 0 < server.grace_period < GRACE_PERIOD


def test_a_single_process_has_the_event_loop_that_uvicorn_prefers() -> None:
    loop = kserve_hooks.UvicornLoopPolicy().new_event_loop()
    loop.close()
    assert type(loop).__module__.startswith("uvloop")
    assert "asyncio.run(" in inspect.getsource(ModelServer.start)
