import asyncio
import sys
from typing import Any
from unittest import mock

import pytest
from grpc import StatusCode

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from kserve import errors

    from container_component_src.serving.server.admission import OverloadedError
    from container_component_src.serving.server.grpc_server import _answering, _reading
    from container_component_src.serving.server.predictor_client import PredictorError

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import TooLargeError
from tests.serving.conftest import MODEL, Service
from tests.serving.grpc_client import RpcError, messages, stub

ERRORS: list[tuple[Exception, StatusCode]] = [
    (RequestError("wrong"), StatusCode.INVALID_ARGUMENT),
    (TooLargeError("large"), StatusCode.RESOURCE_EXHAUSTED),
    (OverloadedError("busy"), StatusCode.RESOURCE_EXHAUSTED),
    (PredictorError("away"), StatusCode.UNAVAILABLE),
    (errors.InvalidInput("wrong"), StatusCode.INVALID_ARGUMENT),
    (errors.ModelNotFound("name"), StatusCode.NOT_FOUND),
    (errors.ModelNotReady("name"), StatusCode.UNAVAILABLE),
    (errors.ServerNotReady("name"), StatusCode.UNAVAILABLE),
    (errors.UnsupportedProtocol("name"), StatusCode.UNIMPLEMENTED),
    (NotImplementedError("name"), StatusCode.UNIMPLEMENTED),
]


class AbortError(Exception):
    pass


class Context:
    """Keeps how a call ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[StatusCode, str]] = []

    async def abort(self, code: StatusCode, details: str) -> None:
        self.ended.append((code, details))
        raise AbortError


def ending(error: Exception) -> tuple[StatusCode, str]:
    """How a call ends whose method raises an error."""

    async def method(request: Any, context: Any) -> Any:
        raise error

    context = Context()
    with pytest.raises(AbortError):
        asyncio.run(_answering(method)("request", context))
    (found,) = context.ended
    return found


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_a_refusal_has_its_code_and_reason(
    error: Exception, code: StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    assert ending(error) == (code, str(error))
    assert not [record for record in caplog.records if record.exc_info]


def test_a_failure_says_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    assert ending(KeyError("inside")) == (
        StatusCode.INTERNAL,
        "internal error; see the log of the server for this request id",
    )
    assert "KeyError: 'inside'" in caplog.text


def test_a_long_reason_is_cut() -> None:
    code, reason = ending(errors.ModelNotFound("n" * 100_000))
    assert code is StatusCode.NOT_FOUND
    assert len(reason) <= 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff garbage", "not of the type that this method takes"),
        (b"\x0a\x02\xff\xff", "not of the type that this method takes"),  # no UTF-8
        (b"\x2a\x00" * 101, "more than 100 inputs"),
    ],
)
def test_a_message_that_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    error = _reading(messages.ModelInferRequest.FromString, 100)(content)
    assert isinstance(error, RequestError)
    assert message in str(error)

    async def never(request: Any, context: Any) -> Any:
        raise AssertionError

    context = Context()
    with pytest.raises(AbortError):
        asyncio.run(_answering(never)(error, context))
    assert message in context.ended[0][1]


@pytest.mark.slow
def test_garbage_over_the_wire_is_refused(service: Service) -> None:
    import grpc

    path = "/inference.GRPCInferenceService/"
    with grpc.insecure_channel(f"127.0.0.1:{service.combined.grpc_port}") as channel:
        for method, content, code in (
            ("ModelInfer", b"\xff" * 100, StatusCode.INVALID_ARGUMENT),
            ("ModelInfer", b"\x2a\x00" * 1_000_000, StatusCode.RESOURCE_EXHAUSTED),
            ("ModelReady", b"\x0a\xff", StatusCode.INVALID_ARGUMENT),
            ("ModelReady", b"\x0a\x01x", StatusCode.NOT_FOUND),
            ("Other", b"", StatusCode.UNIMPLEMENTED),
        ):
            with pytest.raises(RpcError) as error:
                channel.unary_unary(path + method)(content)
            assert error.value.code() is code
            assert "Error" not in error.value.details()
            assert "class" not in error.value.details()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"inputs": [{"name": "rows", "datatype": "INT64", "shape": [1] * 1_100_000}]}, StatusCode.RESOURCE_EXHAUSTED),
        ({"inputs": [{"name": "rows", "datatype": "FP32", "shape": [1, 3]}], "raw_input_contents": [b"", b""]},
         StatusCode.INVALID_ARGUMENT),
        ({"inputs": [{"name": "rows", "datatype": "FP32", "shape": [10**6, 3]}]}, StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["dimensions", "raw contents", "rows"],
)  # fmt: skip
def test_messages_are_limited(service: Service, fields: dict[str, Any], code: StatusCode) -> None:
    with stub(service.combined.grpc_port) as methods, pytest.raises(RpcError) as error:
        methods.ModelInfer(messages.ModelInferRequest(model_name=MODEL, **fields))
    assert error.value.code() is code
