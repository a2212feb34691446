"""Requests and answers of the Open Inference Protocol (V2) over gRPC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from kserve import InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferResponse

from container_component_src.serving.protocol.tensors import Tensor, datatype_of, to_bytes
from container_component_src.serving.protocol.v2 import Request

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def decode_request(request: InferRequest, raw_contents: Sequence[bytes | None]) -> Request:
    """Read a gRPC request.

    Raises:
        RequestError: A tensor of it has an unknown data type or an impossible shape.
    """
    inputs = tuple(
        Tensor(item.name, item.datatype, tuple(item.shape), item.data, raw)
        for item, raw in zip(request.inputs, raw_contents, strict=True)
    )
    raw = any(tensor.raw is not None for tensor in inputs)
    wanted = {output.name: raw for output in request.request_outputs or ()}
    return Request(inputs, request.id or "", wanted or None, raw)


def encode_response(
    outputs: Mapping[str, npt.NDArray[Any]], request: Request, fields: Mapping[str, str]
) -> tuple[Any, dict[str, str]]:
    """Write a gRPC answer: raw contents to a request with such, else typed ones.

    Args:
        outputs: Numbers, booleans or texts (as objects) by name.
        request: What is answered.
        fields: Name and version of the model, and the id of the request.

    Returns:
        The message, and no headers: it says itself what it holds.
    """
    response = ModelInferResponse(**fields)
    for name, array in outputs.items():
        datatype = datatype_of(array)
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if request.binary:
            response.raw_output_contents.append(to_bytes(array))
        else:
            flat = array.ravel()
            values = [text.encode() for text in flat] if array.dtype == np.dtype(object) else flat.tolist()
            getattr(tensor.contents, _CONTENTS[datatype]).extend(values)
    return response, {}
