"""Requests and answers of the Open Inference Protocol (V2) over gRPC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from kserve import InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferParameter, ModelInferRequest, ModelInferResponse

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.limits import Limits
from container_component_src.serving.protocol.tensors import Array, Tensor, datatype_of, to_bytes
from container_component_src.serving.protocol.v2 import Request, check_count

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def check_message(request: ModelInferRequest, most_inputs: int, limits: Limits) -> None:
    """Check a request before KServe makes lists of its contents.

    Args:
        request: The request.
        most_inputs: Number of inputs, of outputs and of parameters above which none is read.
        limits: Limits of a request.

    Raises:
        RequestError: It has too many of them, too many values, or an input with binary and typed contents or none.
    """
    raw = request.raw_input_contents
    for parts in (request.inputs, request.outputs, request.parameters, raw):
        check_count(len(parts), most_inputs)
    contents = [item.contents for item in request.inputs if item.HasField("contents")]
    if raw and (contents or len(raw) != len(request.inputs)):
        raise RequestError("raw_input_contents are not those of all inputs", fix="send raw or typed contents for all")
    values = sum(len(field) for content in contents for _, field in content.ListFields())
    values += sum(len(item.shape) + len(item.parameters) for item in request.inputs)
    limits.check_typed(values + sum(len(output.parameters) for output in request.outputs))


def decode_request(request: InferRequest, raw_contents: Sequence[bytes | None], most_inputs: int) -> Request:
    """Read a gRPC request.

    Args:
        request: The request as KServe decodes it.
        raw_contents: Binary data of each input; None for inputs with typed contents.
        most_inputs: Number of inputs above which none is read.

    Raises:
        RequestError: There are more inputs, or a tensor has an unknown datatype or an impossible shape.
    """
    check_count(len(request.inputs), most_inputs)
    inputs = tuple(
        Tensor(item.name, item.datatype, tuple(item.shape), item.data, raw)
        for item, raw in zip(request.inputs, raw_contents, strict=True)
    )
    raw = any(tensor.raw is not None for tensor in inputs)
    outputs = {output.name: raw for output in request.request_outputs or ()}
    parameters = {name: _value(parameter) for name, parameter in (request.parameters or {}).items()}
    return Request(inputs, request.id or "", outputs or None, raw, parameters)


def _value(parameter: Any) -> object:
    """Return the value of a parameter of a message, or None if it has none."""
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else None


def encode_response(
    outputs: Mapping[str, Array], request: Request, fields: Mapping[str, Any]
) -> tuple[Any, dict[str, str]]:
    """Return a gRPC answer, with raw contents if the request has these, otherwise with typed contents.

    Args:
        outputs: Numbers, booleans or texts (as objects) by name.
        request: The request.
        fields: Name and version of the model, the id of the request, and `parameters` whose values are texts.

    Returns:
        The message, and no headers.
    """
    texts = {name: InferParameter(string_param=text) for name, text in fields.get("parameters", {}).items()}
    response = ModelInferResponse(**{**fields, "parameters": texts})
    for name, array in outputs.items():
        datatype = datatype_of(array)
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if request.binary:
            response.raw_output_contents.append(bytes(to_bytes(array)))
        else:
            flat = array.ravel()
            values = [text.encode() for text in flat] if array.dtype == np.dtype(object) else flat.tolist()
            getattr(tensor.contents, _CONTENTS[datatype]).extend(values)
    return response, {}
