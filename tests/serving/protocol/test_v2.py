import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from container_component_src.serving.protocol.errors import RequestError
from container_component_src.serving.protocol.rows import Rows
from container_component_src.serving.protocol.tensors import NUMPY_TYPES, Tensor
from container_component_src.serving.protocol.v2 import (
    HEADER_LENGTH,
    Request,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from tests.helpers import Counting
from tests.serving.bundles import CHANNELS, SCALER

NANOSECONDS = 1_700_000_000_000_000_000
MOST = 10  # inputs of a request
NAMES = 3_000


def tensor(name: str, data: list[Any], datatype: str = "FP64", **fields: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data, **fields}


COLUMNS = [tensor(name, [1.0, 2.0]) for name in CHANNELS]
MATRIX = tensor("rows", [1, 2, 3, 4, 5, 6], shape=[2, 3])


def read(*inputs: dict[str, Any], tail: bytes = b"") -> Rows:
    head = json.dumps({"inputs": inputs}).encode()
    return decode_request(head + tail, str(len(head)), MOST).rows(CHANNELS, frozenset(SCALER.absent))


def test_columns_in_any_order_and_a_matrix_are_read() -> None:
    reversed_columns = [tensor(name, [10.0 * column, 1.0]) for column, name in reversed(list(enumerate(CHANNELS)))]
    absent = tensor("valve_state", ["a", "b"], "BYTES")
    np.testing.assert_array_equal(read(*reversed_columns, absent).values, [[0, 10, 20], [1, 1, 1]])
    nested = tensor("rows", [[1, 2, 3], [4, 5, 6]], "INT16", shape=[2, 3])
    for matrix in (MATRIX, nested):
        np.testing.assert_array_equal(read(matrix).values, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "times",
    [
        tensor("timestamps", [NANOSECONDS, NANOSECONDS + 10**9], "INT64"),
        tensor("timestamps", ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"], "BYTES", shape=[2, 1]),
    ],
    ids=["nanoseconds", "texts"],
)
def test_timestamps_are_read(times: dict[str, Any]) -> None:
    found = read(MATRIX, times).timestamps
    assert found is not None
    assert found.tolist() == [NANOSECONDS, NANOSECONDS + 10**9]


BAD: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([], '"inputs" is empty'),
    "missing channel": (COLUMNS[:2], "channel 'fan_speed': missing"),
    "unknown channel": ([*COLUMNS, tensor("pump", [1, 2])], "input 'pump': unknown"),
    "twice": ([*COLUMNS, COLUMNS[0]], "input 'cabin_pressure': given twice"),
    "ragged": ([*COLUMNS[:2], tensor("fan_speed", [1.0])], "channel 'fan_speed': shape [1]; send [2]"),
    "no rows": ([tensor("rows", [], shape=[0, 3])], "no rows"),
    "width": ([tensor("rows", [1, 2], shape=[1, 2])], "input 'rows': shape [1, 2]; send [rows, 3]"),
    "count": ([tensor("rows", [1, 2], shape=[1, 3])], "input 'rows': 2 values for shape [1, 3]"),
    "null": ([*COLUMNS[:2], tensor("fan_speed", [1.0, None])], "input 'fan_speed', row 1: null"),
    "text": (
        [tensor("rows", [1, 2, 3, 4, "5", 6], shape=[2, 3])],
        "input 'rows', row 1, channel 'coolant_temperature': a text",
    ),
    "boolean": ([*COLUMNS[:2], tensor("fan_speed", [1.0, True])], "input 'fan_speed', row 1: a boolean"),
    "fraction": ([*COLUMNS[:2], tensor("fan_speed", [1, 1.5], "INT32")], "row 1: a number in a tensor of type INT32"),
    "beyond its type": ([*COLUMNS[:2], tensor("fan_speed", [1, 300], "INT8")], "row 1: a number too large for INT8"),
    "texts": ([*COLUMNS[:2], tensor("fan_speed", ["a", "b"], "BYTES")], "BYTES values are not numbers"),
    "booleans": ([*COLUMNS[:2], tensor("fan_speed", [True, False], "BOOL")], "BOOL values are not numbers"),
    "datatype": ([*COLUMNS[:2], tensor("fan_speed", [1, 2], "FP128")], "unknown datatype 'FP128'"),
    "no data": ([{"name": "rows", "shape": [1, 3], "datatype": "FP64"}], "input 'rows': neither"),
    "no name": ([{"shape": [1, 3], "datatype": "FP64", "data": [1]}], "input 0: it has no name"),
    "nested unevenly": ([tensor("rows", [[1, 2, 3], 4], shape=[2, 3])], "input 'rows': a ragged list"),
    "too few timestamps": ([MATRIX, tensor("timestamps", [NANOSECONDS], "INT64")], "1 timestamps for 2 rows"),
    "timestamps as floats": ([MATRIX, tensor("timestamps", [1.0, 2.0])], "input 'timestamps': FP64"),
    "bytes that are not there": (
        [{"name": "rows", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}],
        "input 'rows': its binary_data_size is not within the body",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inputs", "message"), BAD.values(), ids=BAD)
def test_an_invalid_input_is_refused_by_name_and_row(inputs: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(RequestError) as error:
        read(*inputs)
    assert message in str(error.value)


def test_binary_data_must_fit_the_shape_and_end_with_the_last_input() -> None:
    matrix = {"name": "rows", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    with pytest.raises(RequestError, match=r"8 bytes for shape \[1, 3\] of FP32, which takes 12"):
        read(matrix, tail=bytes(8))
    matrix["parameters"] = {"binary_data_size": 12}
    assert read(matrix, tail=bytes(12)).values.tolist() == [[0, 0, 0]]
    with pytest.raises(RequestError, match="3 bytes follow the last input"):
        read(matrix, tail=bytes(15))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"inputs": [], "inputs": []}', "the key 'inputs' twice"),
        (
            b'{"inputs": [{"name": "rows", "data": [1], "shape": [1], "datatype": "FP64", "data": [2]}]}',
            "the key 'data' twice",
        ),
        (b'{"inputs": [], "timestamps": []}', "unknown key 'timestamps'"),
        (b'{"inputs": [{"name": "a:b", "data": [1], "shape": [1], "datatype": "FP64"}]}', "'cabin_pressure': missing"),
    ],
    ids=["twice", "twice within", "unknown", "colon"],
)
def test_duplicate_and_unknown_keys_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        decode_request(body, None, MOST).rows(CHANNELS)
    assert message in str(error.value)


def test_more_inputs_than_a_model_can_have_are_refused_before_any_is_read() -> None:
    with pytest.raises(RequestError, match=r"11 inputs, far more .*; send a tensor for every channel, or one named"):
        decode_request(json.dumps({"inputs": [{}] * (MOST + 1)}).encode(), None, MOST)
    with pytest.raises(RequestError, match="input 0: it has no name"):
        decode_request(json.dumps({"inputs": [{}] * MOST}).encode(), None, MOST)


def test_a_repeated_input_takes_one_pass() -> None:
    names = [Counting(f"channel {number}") for number in range(NAMES)]
    inputs = tuple(Tensor(name, "FP32", (1,), [1.0]) for name in [*names, Counting(names[-1])])
    with Counting.few(10 * NAMES), pytest.raises(RequestError, match=f"input '{names[-1]}': given twice"):
        Request(inputs).rows(names)
    with Counting.few(10 * NAMES), pytest.raises(RequestError, match=r"input 'channel \d+': unknown"):
        Request(inputs[:-1]).rows(names[:-1])


def test_a_repeated_key_takes_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = ", ".join(f'"key {number}": 1' for number in [*range(NAMES), NAMES - 1])
    Counting.in_json(monkeypatch)
    with Counting.few(10 * NAMES), pytest.raises(RequestError, match=f"the key 'key {NAMES - 1}' twice"):
        decode_request(b'{"inputs": [{%s}]}' % pairs.encode(), None, MOST)


@pytest.mark.parametrize("length", ["", "-1", "x", "1e3", "99999", "٣"])
def test_an_invalid_json_length_is_refused(length: str) -> None:
    with pytest.raises(RequestError, match="not the length of the JSON"):
        decode_request(b'{"inputs": []}', length, MOST)


NUMBERS = st.sampled_from([np.dtype(name) for name in NUMPY_TYPES.values()]).flatmap(
    lambda dtype: (
        arrays.arrays(dtype, arrays.array_shapes(max_dims=3, min_side=0), elements={"allow_nan": False})
        if dtype.kind == "f"
        else arrays.arrays(dtype, arrays.array_shapes(max_dims=3, min_side=0))
    )
)
TEXTS = arrays.arrays(np.dtype(object), arrays.array_shapes(max_dims=2), elements=st.text(max_size=5))


@given(outputs=st.dictionaries(st.text(max_size=5), NUMBERS | TEXTS, max_size=3), binary=st.booleans())
def test_an_encoded_response_is_decoded_unchanged(outputs: dict[str, np.ndarray], binary: bool) -> None:
    if not binary:  # JSON knows no infinity, and numbers of 16 bits are for binary data
        outputs = {name: array for name, array in outputs.items() if array.dtype.kind != "f"}
    body, headers = encode_response(outputs, Request((), binary=binary), {"id": "7"})
    content, found = decode_response(b"".join(body), headers.get(HEADER_LENGTH))
    assert content["id"] == "7"
    assert list(found) == list(outputs)
    for name, array in outputs.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_request_of_the_client_is_read_by_the_server() -> None:
    values = np.arange(6.0).reshape(2, 3)
    body, headers = encode_request({"rows": values, "timestamps": np.array([NANOSECONDS, NANOSECONDS + 1])})
    request = decode_request(body, headers[HEADER_LENGTH], MOST)
    rows = request.rows(CHANNELS)
    np.testing.assert_array_equal(rows.values, values)
    assert rows.timestamps is not None
    assert request.binary
