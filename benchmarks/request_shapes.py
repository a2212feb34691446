"""Requests of many shapes at any size, valid ones and ones that are made to cost a server time or memory."""

import json
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.serving_load import Endpoint
from container_component_src.serving.protocol.v2 import HEADER_LENGTH, encode_request

JSON = {"content-type": "application/json"}
_TIME = '"2024-03-01T12:00:00.%09dZ"'

Body = tuple[bytes, dict[str, str]]  # and its headers
Shape = Callable[[int, Sequence[str]], Body]  # of bytes and channels


def _repeated(size: int, item: str, template: str = '{"instances":[%s]}') -> Body:
    return (template % ",".join([item] * max(1, size // (len(item) + 1)))).encode(), JSON


def _numbered(size: int, item: str, template: str) -> Body:
    """Return items that differ in a number."""
    return (template % ",".join(item % number for number in range(max(1, size // (len(item) + 5))))).encode(), JSON


def rows(size: int, channels: Sequence[str]) -> Body:
    """Return valid rows as lists."""
    return _repeated(size, json.dumps([10.123456] * len(channels)))


def named_rows(size: int, channels: Sequence[str]) -> Body:
    """Return valid rows as objects."""
    return _repeated(size, json.dumps(dict.fromkeys(channels, 10.123456)))


def empty_instances(size: int, channels: Sequence[str]) -> Body:
    """Return objects without channels."""
    return _repeated(size, "{}")


def unknown_channels(size: int, channels: Sequence[str]) -> Body:
    """Return one row with all channels and many others."""
    known = json.dumps(dict.fromkeys(channels, 10.5))[1:-1]
    return _numbered(size, '"u%d":1', '{"instances":[{' + known + ",%s}]}")


def duplicate_channels(size: int, channels: Sequence[str]) -> Body:
    """Return one row that names its last channel many times."""
    known = json.dumps(dict.fromkeys(channels, 10.5))[1:-1]
    return _repeated(size, f'"{channels[-1]}":1', '{"instances":[{' + known + ",%s}]}")


def duplicate_unknown(size: int, channels: Sequence[str]) -> Body:
    """Return one row of many names, the first of which comes again in the end."""
    return _numbered(size, '"u%d":1', '{"instances":[{%s,"u0":1}]}')


def deep_nesting(size: int, channels: Sequence[str]) -> Body:
    """Return lists in lists."""
    return b'{"instances":' + b"[" * (size // 2) + b"]" * (size // 2) + b"}", JSON


def many_lists(size: int, channels: Sequence[str]) -> Body:
    """Return rows that are small nested lists."""
    return _repeated(size, "[[[[]]]]")


def long_name(size: int, channels: Sequence[str]) -> Body:
    """Return one channel with a very long name, which has a character that takes four bytes."""
    return b'{"instances":[{"' + b"n" * size + "\N{SNOWMAN}\N{GRINNING FACE}".encode() + b'":1}]}', JSON


def long_numbers(size: int, channels: Sequence[str]) -> Body:
    """Return integers of four thousand digits."""
    return _repeated(size, "1" * 4000)


def timestamps(size: int, channels: Sequence[str]) -> Body:
    """Return one row with a timestamp for each of many."""
    times = ",".join(_TIME % item for item in range(size // len(_TIME % 0)))
    start = '{"instances":[' + json.dumps([10.5] * len(channels)) + '],"timestamps":['
    return f"{start}{times}]}}".encode(), JSON


def escapes(size: int, channels: Sequence[str]) -> Body:
    """Return a text of escaped characters."""
    return b'{"instances":[],"signature_name":"' + rb"\u00e9" * (size // 6) + b'"}', JSON


def empty_inputs(size: int, channels: Sequence[str]) -> Body:
    """Return V2 inputs without data."""
    return _numbered(size, '{"name":"i%d","shape":[0],"datatype":"FP32","data":[]}', '{"inputs":[%s]}')


def binary_inputs(size: int, channels: Sequence[str]) -> Body:
    """Return V2 inputs of one binary value each."""
    item = '{"name":"i%d","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}'
    head, headers = _numbered(size, item, '{"inputs":[%s]}')
    return head + b"\0" * head.count(b"shape"), {**headers, HEADER_LENGTH: str(len(head))}


def binary_rows(size: int, channels: Sequence[str]) -> Body:
    """Return valid V2 rows as binary data."""
    return encode_request({"rows": np.full((max(1, size // 4 // len(channels)), len(channels)), 10.5, np.float32)})


def binary_bytes(size: int, channels: Sequence[str]) -> Body:
    """Return V2 rows of one byte a value, which ask for an answer in JSON."""
    values = np.full((max(1, size // len(channels)), len(channels)), 10, np.uint8)
    item = {"name": "rows", "shape": values.shape, "datatype": "UINT8", "parameters": {"binary_data_size": values.size}}
    head = json.dumps({"inputs": [item]}).encode()
    return head + values.tobytes(), {HEADER_LENGTH: str(len(head))}


def json_tensor(size: int, channels: Sequence[str]) -> Body:
    """Return valid V2 rows as JSON."""
    count = max(1, size // 6 // len(channels))
    data = ",".join(["10.25"] * (count * len(channels)))
    item = '{"name":"rows","datatype":"FP64","shape":[%d,%d],"data":[%s]}'
    return ('{"inputs":[' + item % (count, len(channels), data) + "]}").encode(), JSON


V1: tuple[Shape, ...] = (
    rows, named_rows, empty_instances, unknown_channels, duplicate_channels, duplicate_unknown, deep_nesting,
    many_lists, long_name, long_numbers, timestamps, escapes,
)  # fmt: skip
V2: tuple[Shape, ...] = (empty_inputs, binary_inputs, binary_rows, binary_bytes, json_tensor)


def endpoint(shape: Shape, size: int, channels: Sequence[str], port: int, model: str) -> Endpoint:
    """Return a request of a shape and about this many bytes."""
    body, headers = shape(size, channels)
    path = f"/v1/models/{model}:predict" if shape in V1 else f"/v2/models/{model}/infer"
    return Endpoint(port, path, body, headers)
