"""A gRPC client of the Open Inference Protocol."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import grpc
from grpc import RpcError, StatusCode

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

__all__ = ["RpcError", "StatusCode", "messages", "stub"]


@contextmanager
def stub(port: int) -> Iterator[Any]:
    """Methods of the server at this port of this machine."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield GRPCInferenceServiceStub(channel)
