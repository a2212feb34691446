"""Requests and answers of the Open Inference Protocol (V2) over REST."""

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import (
    IMPUTE_MISSING,
    Rows,
    imputes,
    json_of,
    json_type,
    parameters_of,
)
from container_component_src.serving.protocol.tensors import (
    Array,
    Tensor,
    datatype_of,
    name_of,
    tensor_of,
    to_bytes,
)
from container_component_src.serving.protocol.timestamps import timestamps_of

ROWS_INPUT = "rows"  # one tensor of shape [rows, channels] with all channels
TIMESTAMPS_INPUT = "timestamps"
_KEYS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")  # KServe sends the last two
_ALIGNMENT = 16  # bytes; the JSON is filled, so that readers need not copy the numbers behind it to align them
HEADER_LENGTH = "inference-header-content-length"  # HTTP header: bytes of JSON before the binary data


@dataclass(frozen=True)
class Request:
    """A V2 request."""

    inputs: tuple[Tensor, ...]
    id: str = ""
    outputs: Mapping[str, bool] | None = None  # requested outputs, and whether each is to be binary; None: all outputs
    binary: bool = False  # whether outputs are to be binary if the request does not name them
    parameters: Mapping[str, object] = field(default_factory=dict)

    def sends_binary(self, output: str) -> bool:
        """Return whether an output is to be binary."""
        return self.outputs.get(output, self.binary) if self.outputs else self.binary

    def rows(
        self, channels: Sequence[str], ignored: AbstractSet[str] = frozenset(), impute: bool | None = None
    ) -> Rows:
        """Return the rows, from one tensor per channel or from one tensor of all channels.

        Args:
            channels: Names of the columns of the result.
            ignored: Further channels that the request may have.
            impute: Whether missing values are imputed if the request does not say; None if this server cannot impute.

        Raises:
            RequestError: An input is missing, unknown, given twice or of another shape, or a value is not a number.
        """
        repeated = first_repeated(tensor.name for tensor in self.inputs)
        if repeated is not None:
            raise RequestError(f"input '{repeated}': given twice", fix="send it once")
        impute = imputes(self.parameters, impute)
        inputs = {tensor.name: tensor for tensor in self.inputs}
        times = inputs.pop(TIMESTAMPS_INPUT, None)
        if set(inputs) == {ROWS_INPUT} and ROWS_INPUT not in channels:
            values = _matrix(inputs[ROWS_INPUT], channels, impute)
        else:
            values = _columns(inputs, channels, ignored, impute)
        if not len(values):
            raise RequestError("the request has no rows", fix="send at least one")
        if times is None:
            return Rows.of(values, None, impute)
        found = times.array()
        if found.dtype.kind not in "iO":
            raise RequestError(f"input '{TIMESTAMPS_INPUT}': {times.datatype}", fix="send INT64 nanoseconds, or texts")
        return Rows.of(values, timestamps_of(found.ravel().tolist(), len(values)), impute)


def check_count(inputs: int, most: int) -> None:
    """Check the number of inputs of a request before any of them is read.

    Raises:
        RequestError: There are too many.
    """
    if inputs > most:
        raise RequestError(
            f"{inputs} inputs, far more than the model has channels",
            fix=f"send a tensor for every channel, or one named '{ROWS_INPUT}'",
        )


def decode_request(body: bytes, json_length: str | None, most_inputs: int) -> Request:
    """Read the body of a V2 REST request.

    Args:
        body: JSON, followed by the binary data of the inputs that have some.
        json_length: HTTP header `inference-header-content-length`; None if all of the body is JSON.
        most_inputs: Number of inputs above which none is read.

    Raises:
        RequestError: The body is not such a request.
    """
    length = json_bytes(body, json_length)
    content = json_of(body[:length])
    unknown = content.keys() - set(_KEYS)
    if unknown:
        raise RequestError(f"the request has an unknown key {min(unknown)!r}", fix=f"send {', '.join(_KEYS)} only")
    inputs = _objects(content, "inputs")
    check_count(len(inputs), most_inputs)
    if body.count(b":", 0, length) != _pairs(content):  # an object may have a name twice, or a text a colon
        try:
            json.loads(body[:length], object_pairs_hook=_unique)
        except ValueError as error:  # the two parsers do not accept the same JSON
            raise RequestError(f"the request is not JSON ({error})") from error
    if not inputs:
        raise RequestError('"inputs" is empty', fix="send at least one tensor")
    binary, start, tensors = memoryview(body), length, []
    for index, item in enumerate(inputs):
        tensor, start = tensor_of(index, item, binary, start)
        tensors.append(tensor)
    if start != len(body):
        raise RequestError(f"{len(body) - start} bytes follow the last input", fix="correct its binary_data_size")
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise RequestError(f'"id" is {json_type(request_id)}', fix="send a text")
    parameters = parameters_of(content, "the request")
    default = bool(parameters.get("binary_data_output", False))
    return Request(tuple(tensors), request_id or "", _requested_outputs(content, default), default, parameters)


def encode_response(
    outputs: Mapping[str, Array], request: Request, fields: Mapping[str, object]
) -> tuple[list[bytes | memoryview], dict[str, str]]:
    """Return the body of a V2 REST answer in parts, which need not be copied, and the headers that describe it.

    Args:
        outputs: Numbers, booleans or texts (as objects) by name.
        request: The request, which says which outputs are to be binary.
        fields: Further fields of the JSON.
    """
    return _encode("outputs", outputs, request, fields)


def encode_request(inputs: Mapping[str, Array], impute: bool = False) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a V2 REST request; arguments are those of `request_parts`."""
    parts, headers = request_parts(inputs, impute)
    return b"".join(parts), headers


def request_parts(inputs: Mapping[str, Array], impute: bool = False) -> tuple[list[bytes | memoryview], dict[str, str]]:
    """Return the body in parts, and the headers, of a V2 REST request with binary data that asks for a binary answer.

    Args:
        inputs: Numbers, booleans or texts (as objects) by name.
        impute: Whether the server is to impute missing values; otherwise the model decides.
    """
    parameters = {"binary_data_output": True} | ({IMPUTE_MISSING: True} if impute else {})
    return _encode("inputs", inputs, Request((), binary=True), {"parameters": parameters})


def decode_response(body: bytes, json_length: str | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the JSON and the outputs of a V2 REST answer.

    Raises:
        RequestError: The body is not such an answer.
    """
    length = json_bytes(body, json_length)
    content = json_of(body[:length])
    binary, start, outputs = memoryview(body), length, {}
    for index, item in enumerate(_objects(content, "outputs")):
        tensor, start = tensor_of(index, item, binary, start)
        outputs[tensor.name] = tensor.array(nulls=True)
    return content, outputs


def _encode(
    key: str, arrays: Mapping[str, Array], request: Request, fields: Mapping[str, object]
) -> tuple[list[bytes | memoryview], dict[str, str]]:
    items: list[dict[str, object]] = []
    binary: list[bytes | memoryview] = []
    for name, array in arrays.items():
        item: dict[str, object] = {"name": name, "shape": list(array.shape), "datatype": datatype_of(array)}
        if request.sends_binary(name):
            data = to_bytes(array)
            item["parameters"] = {"binary_data_size": len(data)}
            binary.append(data)
        else:
            item["data"] = array.ravel().tolist()
        items.append(item)
    head = orjson.dumps({**fields, key: items})
    if not binary:
        return [head], {"content-type": "application/json"}
    head = head[:-1].ljust(-len(head) % _ALIGNMENT + len(head) - 1) + b"}"
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return [head, *binary], headers


def _requested_outputs(content: dict[str, Any], default: bool) -> dict[str, bool] | None:
    """Return for each requested output whether it is to be binary; None if none is requested."""
    outputs = {
        name_of(item, f"output {index}"): bool(parameters_of(item, f"output {index}").get("binary_data", default))
        for index, item in enumerate(_objects(content, "outputs") if content.get("outputs") else [])
    }
    return outputs or None


def json_bytes(body: bytes, header: str | None) -> int:
    """Return the number of bytes of JSON at the start of a body.

    Raises:
        RequestError: The header is not such a number.
    """
    if header is None:
        return len(body)
    if not header.isdecimal() or not header.isascii() or int(header[:18]) > len(body):
        raise RequestError(
            f"header {HEADER_LENGTH}: {header[:40]!r} is not the length of the JSON in the body", fix="correct it"
        )
    return int(header[:18])


def _pairs(content: object) -> int:
    """Return the number of names in nested objects; a list that does not begin with an object is taken to have none."""
    if isinstance(content, dict):
        return len(content) + sum(map(_pairs, content.values()))
    return sum(map(_pairs, content)) if isinstance(content, list) and content and isinstance(content[0], dict) else 0


def _unique(pairs: list[tuple[str, Any]]) -> None:
    repeated = first_repeated(name for name, _ in pairs)
    if repeated is not None:
        raise RequestError(f"an object of the request has the key {repeated!r} twice", fix="send it once")


def _matrix(tensor: Tensor, channels: Sequence[str], nulls: bool) -> Array:
    if len(tensor.shape) != 2 or tensor.shape[1] != len(channels):
        raise RequestError(f"input '{tensor.name}': shape {list(tensor.shape)}", fix=f"send [rows, {len(channels)}]")
    return _numbers(tensor, nulls, channels)


def _columns(inputs: Mapping[str, Tensor], channels: Sequence[str], ignored: AbstractSet[str], nulls: bool) -> Array:
    missing = next((name for name in channels if name not in inputs), None)
    if missing is not None:
        raise RequestError(
            f"channel '{missing}': missing", fix=f"send a tensor for every channel, or one named '{ROWS_INPUT}'"
        )
    unknown = inputs.keys() - set(channels) - ignored
    if unknown:
        raise RequestError(f"input '{min(unknown)}': unknown to the model", fix="leave it out")
    rows = math.prod(inputs[channels[0]].shape)
    for name in channels:
        shape = inputs[name].shape
        if shape not in ((rows,), (rows, 1)):
            raise RequestError(
                f"channel '{name}': shape {list(shape)}", fix=f"send [{rows}] like channel '{channels[0]}'"
            )
    return np.column_stack([_numbers(inputs[name], nulls).ravel() for name in channels])


def _numbers(tensor: Tensor, nulls: bool, columns: Sequence[str] = ()) -> Array:
    array = tensor.array(columns, nulls)
    if array.dtype.kind not in "iuf":
        raise RequestError(f"input '{tensor.name}': {tensor.datatype} values are not numbers", fix="send FP64 or FP32")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _objects(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = content.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RequestError(f'"{key}" is not a list of tensors', fix=f'send {{"{key}": [{{"name": ..., ...}}]}}')
    return items
