"""KServe's gRPC server with refusals that are answered and logged as over HTTP, and with limits on slow clients.

Import this module only in a process that serves.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode, aio
from kserve.protocol.grpc import server as kserve_grpc
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.utils.utils import to_headers

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import TooLargeError
from container_component_src.serving.protocol.wire import holds_more_fields
from container_component_src.serving.server.refusals import message_of, status_of

_CODES = {
    HTTPStatus.BAD_REQUEST: StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.NOT_IMPLEMENTED: StatusCode.UNIMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE: StatusCode.UNAVAILABLE,
}
_CONNECTION_SECONDS = 600  # after which a client has to connect again, so that a call that it does not end is dropped
_MILLISECONDS = 1000
_FEWER = "send a tensor for every channel, or one named 'rows'"

logger = logging.getLogger(__name__)

Method = Callable[[Any, Any], Awaitable[Any]]


class Servicer(InferenceServicer):
    """KServe's methods, with inference by the model itself."""

    async def ModelInfer(self, request: ModelInferRequest, context: Any) -> Any:  # noqa: N802
        """Answer an inference request."""
        return await self._data_plane.get_model_from_registry(request.model_name).infer(request, to_headers(context))


class Refusals(aio.ServerInterceptor):
    """Turns errors into a status, including those of messages that cannot be read.

    Args:
        most_fields: Number of fields of a message above which it is not read.
    """

    def __init__(self, most_fields: int) -> None:
        self._most_fields = most_fields

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler | None:
        """Wrap a method; None if there is no such method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            _answering(handler.unary_unary),
            request_deserializer=_reading(handler.request_deserializer, self._most_fields),
            response_serializer=handler.response_serializer,
        )


class LimitedGRPCServer(kserve_grpc.GRPCServer):
    """KServe's gRPC server with such methods.

    Args:
        read_timeout: Seconds for a connection to be made.
        most_calls: Number of calls at a time.
        most_fields: Number of fields of a message above which it is not read.
        arguments: Arguments of the base class.
        options: Options of the base class.
    """

    def __init__(self, *arguments: Any, read_timeout: float, most_calls: int, most_fields: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._read_timeout, self._most_calls, self._most_fields = read_timeout, most_calls, most_fields

    async def start(self, max_workers: int) -> None:
        """Serve until the server is stopped.

        Args:
            max_workers: Has no effect, because the methods need no threads.
        """
        self._server = aio.server(
            interceptors=[Refusals(self._most_fields)],
            maximum_concurrent_rpcs=self._most_calls,
            options=[
                ("grpc.max_send_message_length", self._kwargs["grpc_max_send_message_length"]),
                ("grpc.max_receive_message_length", self._kwargs["grpc_max_receive_message_length"]),
                ("grpc.server_handshake_timeout_ms", int(self._read_timeout * _MILLISECONDS)),
                ("grpc.max_connection_age_ms", _CONNECTION_SECONDS * _MILLISECONDS),
                ("grpc.max_connection_age_grace_ms", _CONNECTION_SECONDS * _MILLISECONDS),
            ],
        )
        servicer = Servicer(self._data_plane, self._model_repository_extension)
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(f"[::]:{self._port}")
        await self._server.start()
        logger.info("gRPC server listens on port %d", self._port)
        await self._server.wait_for_termination()


def _reading(deserialize: Callable[[bytes], Message], most_fields: int) -> Callable[[bytes], Message | RequestError]:
    """Return a function that returns the error of a message that cannot be read."""

    def read(content: bytes) -> Message | RequestError:
        if holds_more_fields(content, most_fields):
            return TooLargeError(f"the message has more than {most_fields} inputs and other fields", fix=_FEWER)
        try:
            return deserialize(content)
        except DecodeError:
            return RequestError("the message is not of the type that this method takes", fix="send that type")

    return read


def _answering(method: Method) -> Callable[[Any, Any], Coroutine[Any, Any, Any]]:
    """Return a method that ends with a status instead of an error."""

    async def answer(request: Message | RequestError, context: Any) -> Any:
        try:
            if isinstance(request, RequestError):
                raise request
            return await method(request, context)
        except Exception as error:
            status, message = status_of(error), message_of(error)
            code = _CODES.get(HTTPStatus(status), StatusCode.INTERNAL)
            if code is StatusCode.INTERNAL:
                logger.exception("gRPC call failed")
            else:
                logger.info("gRPC call refused: %s", message)
            await context.abort(code, message)

    return answer
