"""No request, however invalid, is answered with 500. Set `SERVING_FUZZ_EXAMPLES=20000` for more requests."""

import json
import os
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.serving.protocol.tensors import NUMPY_TYPES
from container_component_src.serving.protocol.v2 import HEADER_LENGTH
from tests.serving.bundles import CHANNELS, ROW
from tests.serving.conftest import MODEL, Service
from tests.serving.grpc_client import RpcError, StatusCode, messages, stub

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("SERVING_FUZZ_EXAMPLES", "300"))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["2024-01-01", "9999-99-99", "262000-01-01", "0001-01-01T00:00:00Z"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*CHANNELS, "rows", "x"]), inner),
    max_leaves=8,
)
NUMBERS = st.floats(-1e40, 1e40) | st.integers(-(10**6), 10**20) | st.sampled_from([None, float("nan"), float("inf")])
GOOD_ROWS = st.lists(NUMBERS, min_size=3, max_size=3) | st.fixed_dictionaries(dict.fromkeys(ROW, NUMBERS))


def or_any(likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Three times out of four the likely, otherwise anything."""
    return st.one_of(likely, likely, likely, VALUES)


TENSORS = st.fixed_dictionaries(
    {
        "name": or_any(st.sampled_from([*CHANNELS, "rows", "timestamps"])),
        "shape": or_any(st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**31, 2**70]), max_size=4)),
        "datatype": or_any(st.sampled_from([*NUMPY_TYPES, "BYTES"])),
    },
    optional={
        "data": or_any(st.lists(or_any(NUMBERS), max_size=6)),
        "parameters": or_any(st.fixed_dictionaries({"binary_data_size": or_any(st.integers(-1, 40))})),
    },
)
PARAMETERS = or_any(
    st.fixed_dictionaries(
        {}, optional={"binary_data_output": or_any(st.booleans()), "impute_missing": or_any(st.booleans())}
    )
)
V1 = or_any(
    st.fixed_dictionaries(
        {"instances": or_any(st.lists(or_any(GOOD_ROWS), max_size=3))},
        optional={
            "timestamps": or_any(st.lists(or_any(st.integers(10**17, 2**64)), max_size=3)),
            "parameters": PARAMETERS,
            "x": VALUES,
        },
    )
)
V2 = or_any(
    st.fixed_dictionaries(
        {"inputs": or_any(st.lists(or_any(TENSORS), max_size=4))},
        optional={
            "id": VALUES,
            "parameters": PARAMETERS,
            "outputs": or_any(st.lists(or_any(st.fixed_dictionaries({"name": st.sampled_from(["score", "x"])})))),
        },
    )
)
BODIES = st.one_of(
    st.tuples(V1 | V2, st.binary(max_size=40)).map(lambda pair: json.dumps(pair[0]).encode() + pair[1]),
    V1.map(lambda content: json.dumps(content).encode()),
    V2.map(lambda content: json.dumps(content).encode()),
    st.binary(max_size=60),
)
PATHS = st.sampled_from(
    [f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer"] * 6
    + [
        f"/v1/models/{MODEL}:explain", f"/v1/models/{MODEL}", f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/ready",
        f"/v2/models/{MODEL}/versions/1/infer", f"/v2/repository/models/{MODEL}/unload", "/v2/repository/models/x/load",
        "/", "/metrics", "/v2", "/v2/health/live", "/v1/models/%00:predict", "/v1/models", "/openapi.json",
    ]
)  # fmt: skip
METHODS = st.sampled_from(["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
HEADER_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=12)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-encoding", "ce-id", "ce-specversion", "ce-type", "ce-source", "ce-contenttype",
         "x-request-id", "accept", "authorization"]
    ),
    HEADER_TEXTS | st.sampled_from(["application/json", "application/cloudevents+json", "1.0", "application/x-www"]),
    max_size=4,
)  # fmt: skip
LENGTHS = st.none() | st.none() | st.integers(-1, 400).map(str) | HEADER_TEXTS


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(
    role=st.sampled_from(["combined", "combined", "transformer", "predictor"]),
    method=METHODS,
    path=PATHS,
    headers=HEADERS,
    body=BODIES,
    length=LENGTHS,
)
def test_no_request_is_answered_500(
    service: Service,
    role: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    length: str | None,
) -> None:
    server = getattr(service, role)
    if length is not None:
        headers = {**headers, HEADER_LENGTH: length}
    try:
        encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        answer = server.client.request(method, server.url + path, content=body, headers=encoded)
    except httpx.LocalProtocolError:  # no such request can be sent
        return
    assert answer.status_code < 500, answer.text
    if answer.status_code == 400 and method == "POST" and "Invalid HTTP request" not in answer.text:
        assert answer.json()["error"]
    assert server.client.get(f"{server.url}/v1/models/{MODEL}").status_code == 200


GRPC_TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from([*CHANNELS, "rows", "timestamps", "x"]),
        "datatype": st.sampled_from([*NUMPY_TYPES, "BYTES", "", "fp32"]),
        "shape": st.lists(st.sampled_from([0, 1, 3, -1, 2**31, 2**62]), max_size=3) | st.just([1, 3]),
    },
    optional={
        "contents": st.fixed_dictionaries(
            {},
            optional={
                "fp64_contents": st.lists(st.floats(), max_size=6),
                "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
                "bytes_contents": st.lists(st.binary(max_size=5), max_size=3),
                "bool_contents": st.lists(st.booleans(), max_size=3),
            },
        )
    },
)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(
    role=st.sampled_from(["combined", "predictor"]),
    inputs=st.lists(GRPC_TENSORS, max_size=4),
    raw=st.lists(st.binary(max_size=24), max_size=4),
    outputs=st.lists(st.fixed_dictionaries({"name": st.sampled_from(["score", "x"])}), max_size=2),
    parameters=st.dictionaries(
        st.sampled_from(["impute_missing", "x"]),
        st.sampled_from([{}, {"bool_param": True}, {"int64_param": 1}, {"string_param": "true"}]),
    ),
)
def test_no_grpc_request_ends_in_an_internal_error(
    service: Service, role: str, inputs: list[Any], raw: list[bytes], outputs: list[Any], parameters: dict[str, Any]
) -> None:
    request = messages.ModelInferRequest(
        model_name=MODEL, inputs=inputs, raw_input_contents=raw, outputs=outputs, parameters=parameters
    )
    with stub(getattr(service, role).grpc_port) as methods:
        try:
            methods.ModelInfer(request)
        except RpcError as error:
            assert error.code() in (StatusCode.INVALID_ARGUMENT, StatusCode.RESOURCE_EXHAUSTED), error.details()
