"""Whatever is asked, no server answers 500; `SERVING_FUZZ_EXAMPLES=20000` asks more."""

import json
import os
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_component_src.serving.tensors import NUMPY_TYPES
from container_component_src.serving.v2 import HEADER_LENGTH
from tests.serving.bundles import CHANNELS, ROW
from tests.serving.conftest import MODEL, Service

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
NUMBERS = st.floats(-1e40, 1e40) | st.integers(-(10**6), 10**20)
GOOD_ROWS = st.lists(NUMBERS, min_size=3, max_size=3) | st.fixed_dictionaries(dict.fromkeys(ROW, NUMBERS))


def or_any(likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly the likely, sometimes anything."""
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
V1 = or_any(
    st.fixed_dictionaries(
        {"instances": or_any(st.lists(or_any(GOOD_ROWS), max_size=3))},
        optional={"timestamps": or_any(st.lists(or_any(st.integers(10**17, 2**64)), max_size=3)), "x": VALUES},
    )
)
V2 = or_any(
    st.fixed_dictionaries(
        {"inputs": or_any(st.lists(or_any(TENSORS), max_size=4))},
        optional={
            "id": VALUES,
            "parameters": or_any(st.just({"binary_data_output": True})),
            "outputs": or_any(st.lists(or_any(st.fixed_dictionaries({"name": st.sampled_from(["score", "x"])})))),
        },
    )
)
BODIES = st.one_of(
    st.tuples(V1 | V2, st.binary(max_size=40)).map(lambda parts: json.dumps(parts[0]).encode() + parts[1]),
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
HEADER_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
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
    part=st.sampled_from(["combined", "combined", "transformer", "predictor"]),
    method=METHODS,
    path=PATHS,
    headers=HEADERS,
    body=BODIES,
    length=LENGTHS,
)
def test_no_request_is_answered_500(
    service: Service,
    part: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    length: str | None,
) -> None:
    server = getattr(service, part)
    if length is not None:
        headers = {**headers, HEADER_LENGTH: length}
    try:
        answer = server.client.request(method, server.url + path, content=body, headers=headers)
    except httpx.LocalProtocolError:  # no such request can be sent
        return
    assert answer.status_code < 500, answer.text
    if answer.status_code == 400 and method == "POST" and "Invalid HTTP request" not in answer.text:
        assert answer.json()["error"]
    assert server.client.get(f"{server.url}/v1/models/{MODEL}").status_code == 200
