"""Requests and answers of the Open Inference Protocol (V2) over REST."""

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from container_component_src.repetition import first_repeated
from container_component_src.serving.protocol.inputs import RequestError, Rows, json_of, kind, timestamps
from container_component_src.serving.protocol.tensors import (
    Array,
    Tensor,
    datatype_of,
    name_of,
    parameters_of,
    tensor_of,
    to_bytes,
)

ROWS_INPUT = "rows"  # all channels in one tensor of shape [rows, channels]
TIMESTAMPS_INPUT = "timestamps"
_KEYS = ("id", "parameters", "inputs", "outputs", "model_name", "model_version")  # the last two are KServe's
HEADER_LENGTH = "inference-header-content-length"  # HTTP header: bytes of JSON before the binary data


@dataclass(frozen=True)
class Request:
    """A V2 request."""

    inputs: tuple[Tensor, ...]
    id: str = ""
    outputs: Mapping[str, bool] | None = None  # wanted outputs, by name whether in binary; None: all of them
    binary: bool = False  # whether outputs that are not named are wanted in binary

    def rows(self, channels: Sequence[str], ignored: AbstractSet[str] = frozenset()) -> Rows:
        """The rows, from one tensor per channel or from the one of all channels.

        Args:
            channels: Names of the columns of the result.
            ignored: Further channels that may be there.

        Raises:
            RequestError: An input is missing, unknown, given twice or of another shape, or a value no number.
        """
        repeated = first_repeated(tensor.name for tensor in self.inputs)
        if repeated is not None:
            raise RequestError(f"input '{repeated}': given twice")
        inputs = {tensor.name: tensor for tensor in self.inputs}
        times = inputs.pop(TIMESTAMPS_INPUT, None)
        if set(inputs) == {ROWS_INPUT} and ROWS_INPUT not in channels:
            values = _matrix(inputs[ROWS_INPUT], channels)
        else:
            values = _columns(inputs, channels, ignored)
        if not len(values):
            raise RequestError("the request has no rows; send at least one")
        if times is None:
            return Rows(values)
        found = times.array()
        if found.dtype.kind not in "iO":
            raise RequestError(f"input '{TIMESTAMPS_INPUT}': {times.datatype}; send INT64 nanoseconds, or texts")
        return Rows(values, timestamps(found.ravel().tolist(), len(values)))


def decode_request(body: bytes, json_length: str | None) -> Request:
    """Read the body of a V2 REST request.

    Args:
        body: JSON, with binary data behind it where inputs say so.
        json_length: The HTTP header of that name; None where all of the body is JSON.

    Raises:
        RequestError: The body is no such request.
    """
    length = _json_length(body, json_length)
    content = json_of(body[:length])
    unknown = sorted(content.keys() - set(_KEYS))
    if unknown:
        raise RequestError(f"the request has an unknown key {unknown[0]!r}; send {', '.join(_KEYS)} only")
    if body.count(b":", 0, length) != _pairs(content):  # a name may stand twice, or a text hold a colon
        try:
            json.loads(body[:length], object_pairs_hook=_unique)
        except ValueError as error:  # the two parsers differ in what they take for JSON
            raise RequestError(f"the request is not JSON ({error})") from error
    inputs = _objects(content, "inputs")
    if not inputs:
        raise RequestError('"inputs" is empty; send at least one tensor')
    binary, start, tensors = memoryview(body), length, []
    for index, item in enumerate(inputs):
        tensor, start = tensor_of(index, item, binary, start)
        tensors.append(tensor)
    if start != len(body):
        raise RequestError(f"{len(body) - start} bytes follow the last input; fix its binary_data_size")
    default = parameters_of(content, "the request").get("binary_data_output", False)
    wanted = {
        name_of(item, f"output {index}"): bool(parameters_of(item, f"output {index}").get("binary_data", default))
        for index, item in enumerate(_objects(content, "outputs") if content.get("outputs") else [])
    }
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise RequestError(f'"id" is {kind(request_id)}; send a text')
    return Request(tuple(tensors), request_id or "", wanted or None, bool(default))


def encode_response(
    outputs: Mapping[str, Array], request: Request, fields: Mapping[str, object]
) -> tuple[bytes, dict[str, str]]:
    """Write the body of a V2 REST answer.

    Args:
        outputs: Numbers, booleans or texts (as objects) by name.
        request: What is answered; it says which outputs are wanted, and in which form.
        fields: The rest of the JSON.

    Returns:
        The body, and the headers that describe it.
    """
    listed, tail = [], []
    for name, array in outputs.items():
        item: dict[str, object] = {"name": name, "shape": list(array.shape), "datatype": datatype_of(array)}
        if request.outputs.get(name, request.binary) if request.outputs else request.binary:
            data = to_bytes(array)
            item["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
        else:
            item["data"] = array.ravel().tolist()
        listed.append(item)
    head = orjson.dumps({**fields, "outputs": listed})
    if not tail:
        return head, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return b"".join((head, *tail)), headers


def encode_request(inputs: Mapping[str, Array]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a V2 REST request with binary data, whose answer is to be binary, too."""
    request = Request((), binary=True)
    head_and_tail, headers = encode_response(inputs, request, {"parameters": {"binary_data_output": True}})
    length = int(headers[HEADER_LENGTH])
    # Inputs and outputs differ in nothing but the key.
    head = orjson.loads(head_and_tail[:length])
    head["inputs"] = head.pop("outputs")
    encoded = orjson.dumps(head)
    return encoded + head_and_tail[length:], {**headers, HEADER_LENGTH: str(len(encoded))}


def decode_response(body: bytes, json_length: str | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """JSON and outputs of a V2 REST answer, all or some of them in binary.

    Raises:
        RequestError: The body is no such answer.
    """
    length = _json_length(body, json_length)
    content = json_of(body[:length])
    binary, start, outputs = memoryview(body), length, {}
    for index, item in enumerate(_objects(content, "outputs")):
        tensor, start = tensor_of(index, item, binary, start)
        outputs[tensor.name] = tensor.array()
    return content, outputs


def _json_length(body: bytes, header: str | None) -> int:
    """Bytes of JSON at the start of a body."""
    if header is None:
        return len(body)
    if not header.isdecimal() or not header.isascii() or int(header[:18]) > len(body):
        raise RequestError(f"header {HEADER_LENGTH}: {header[:40]!r} is no length of the JSON in the body")
    return int(header[:18])


def _pairs(content: object) -> int:
    """Names in an object and in those within it; lists are taken to hold objects only if they begin with one."""
    if isinstance(content, dict):
        return len(content) + sum(map(_pairs, content.values()))
    return sum(map(_pairs, content)) if isinstance(content, list) and content and isinstance(content[0], dict) else 0


def _unique(pairs: list[tuple[str, Any]]) -> None:
    repeated = first_repeated(name for name, _ in pairs)
    if repeated is not None:
        raise RequestError(f"{repeated!r} stands twice in an object of the request; send it once")


def _matrix(tensor: Tensor, channels: Sequence[str]) -> Array:
    if len(tensor.shape) != 2 or tensor.shape[1] != len(channels):
        raise RequestError(f"input '{tensor.name}': shape {list(tensor.shape)}; send [rows, {len(channels)}]")
    return _numbers(tensor, channels)


def _columns(inputs: Mapping[str, Tensor], channels: Sequence[str], ignored: AbstractSet[str]) -> Array:
    missing = next((name for name in channels if name not in inputs), None)
    if missing is not None:
        raise RequestError(f"channel '{missing}': missing; send a tensor for every channel, or one named 'rows'")
    unknown = inputs.keys() - set(channels) - ignored
    if unknown:
        raise RequestError(f"input '{min(unknown)}': unknown to the model; leave it out")
    rows = math.prod(inputs[channels[0]].shape)
    for name in channels:
        shape = inputs[name].shape
        if shape not in ((rows,), (rows, 1)):
            raise RequestError(f"channel '{name}': shape {list(shape)}; send [{rows}] like channel '{channels[0]}'")
    return np.column_stack([_numbers(inputs[name]).ravel() for name in channels])


def _numbers(tensor: Tensor, columns: Sequence[str] = ()) -> Array:
    array = tensor.array(columns)
    if array.dtype.kind not in "iuf":
        raise RequestError(f"input '{tensor.name}': {tensor.datatype} values are no numbers; send FP64 or FP32")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _objects(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = content.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RequestError(f'"{key}" is no list of tensors; send {{"{key}": [{{"name": ..., ...}}]}}')
    return items
