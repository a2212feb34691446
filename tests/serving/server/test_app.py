"""The same rows get the scores of the model itself in every protocol."""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from container_component_src.serving.protocol.v2 import HEADER_LENGTH, decode_response, encode_request
from tests.serving.bundles import CHANNELS, SCALER
from tests.serving.conftest import MODEL, Server, Service
from tests.serving.grpc_client import RpcError, StatusCode, messages, stub

pytestmark = pytest.mark.slow

ROWS = 10_000
START, SECOND = 1_700_000_000_000_000_000, 10**9
Outputs = dict[str, Any]


def by_v1(server: Server, values: np.ndarray, timestamps: np.ndarray | None) -> Outputs:
    body: dict[str, Any] = {"instances": [dict(zip(CHANNELS, row, strict=True)) for row in values.tolist()]}
    if timestamps is not None:
        body["timestamps"] = [str(time) for time in timestamps.astype("datetime64[ns]")]
    answer = server.client.post(f"{server.url}/v1/models/{MODEL}:predict", json=body).raise_for_status().json()
    predictions = answer["predictions"]
    names = [name for name in predictions[0] if name != "top_channels"]
    outputs = {name: np.array([row[name] for row in predictions]) for name in names}
    if "top_channels" in predictions[0]:
        outputs["top_channel"] = np.array(
            [[item["channel"] for item in row["top_channels"]] for row in predictions], dtype=object
        )
    return {"model_version": answer["model_version"], **outputs}


def by_v2_json(server: Server, values: np.ndarray, timestamps: np.ndarray | None) -> Outputs:
    shape = [len(values)]
    inputs: list[dict[str, Any]] = [
        {"name": name, "shape": shape, "datatype": "FP64", "data": values[:, column].tolist()}
        for column, name in enumerate(CHANNELS)
    ]
    if timestamps is not None:
        inputs.append({"name": "timestamps", "shape": shape, "datatype": "INT64", "data": timestamps.tolist()})
    answer = server.client.post(f"{server.url}/v2/models/{MODEL}/infer", json={"id": "7", "inputs": inputs})
    content, outputs = decode_response(answer.raise_for_status().content, None)
    assert content["id"] == "7"
    return {"model_version": content["model_version"], **outputs}


def by_v2_binary(server: Server, values: np.ndarray, timestamps: np.ndarray | None) -> Outputs:
    inputs = {"rows": values} | ({} if timestamps is None else {"timestamps": timestamps})
    body, headers = encode_request(inputs)
    answer = server.client.post(f"{server.url}/v2/models/{MODEL}/infer", content=body, headers=headers)
    content, outputs = decode_response(answer.raise_for_status().content, answer.headers[HEADER_LENGTH])
    return {"model_version": content["model_version"], **outputs}


def by_grpc(server: Server, values: np.ndarray, timestamps: np.ndarray | None) -> Outputs:
    request = messages.ModelInferRequest(model_name=MODEL, id="7")
    request.inputs.add(name="rows", datatype="FP64", shape=values.shape)
    request.raw_input_contents.append(values.tobytes())
    if timestamps is not None:
        request.inputs.add(name="timestamps", datatype="INT64", shape=timestamps.shape)
        request.raw_input_contents.append(timestamps.tobytes())
    with stub(server.grpc_port) as methods:
        answer = methods.ModelInfer(request)
    assert answer.id == "7"
    wanted = {"FP32": "<f4", "FP64": "<f8", "BOOL": "?", "INT64": "<i8"}
    outputs = {
        tensor.name: np.frombuffer(raw, wanted[tensor.datatype]).reshape(tuple(tensor.shape))
        for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        if tensor.datatype in wanted
    }
    return {"model_version": answer.model_version, **outputs}


Ask = Callable[[Server, np.ndarray, np.ndarray | None], Outputs]
PROTOCOLS: dict[str, Ask] = {"V1": by_v1, "V2 JSON": by_v2_json, "V2 binary": by_v2_binary, "gRPC": by_grpc}


@pytest.fixture(params=PROTOCOLS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return PROTOCOLS[request.param]


@pytest.fixture(scope="module")
def telemetry() -> np.ndarray:
    """Engineering units, [rows, channels]."""
    scaled = np.random.default_rng(7).standard_normal((ROWS, len(CHANNELS))).astype(np.float32)
    return SCALER.inverse_transform(scaled).astype(np.float64)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["transformer", "combined"])
def test_telemetry_gets_the_scores_of_the_model(service: Service, name: str, ask: Ask, telemetry: np.ndarray) -> None:
    timestamps = START + np.arange(ROWS) * SECOND
    timestamps[ROWS // 2 :] += 60 * SECOND  # longer than a gap may be
    answer = ask(getattr(service, name), telemetry, timestamps)
    info = service.bundle.info
    scaled = SCALER.transform(telemetry.astype(np.float32))
    expected = service.bundle.scorer.contributions(scaled, timestamps).sum(axis=1)
    close(answer["score"], expected)
    smoothed = info.smoother().push(timestamps, expected)
    close(answer["smoothed_score"], smoothed)
    np.testing.assert_array_equal(answer["alarm"], answer["smoothed_score"] > info.calibrated.rule.raise_above)
    assert set(answer["threshold"]) == {info.calibrated.rule.raise_above}
    assert answer["model_version"] == service.bundle.info.version


def test_scaled_rows_get_the_scores_of_the_model(service: Service, ask: Ask, telemetry: np.ndarray) -> None:
    scaled = SCALER.transform(telemetry.astype(np.float32))
    answer = ask(service.predictor, scaled.astype(np.float64), None)
    contributions = service.bundle.scorer.contributions(scaled)
    close(answer["score"], contributions.sum(axis=1))
    close(answer["parts"], contributions)
    assert answer["model_version"] == service.bundle.info.version


@pytest.mark.parametrize("role", ["combined", "transformer"])
def test_every_server_of_telemetry_imputes(service: Service, role: str, telemetry: np.ndarray) -> None:
    server: Server = getattr(service, role)
    whole, holed = telemetry[:9].copy(), telemetry[:9].copy()
    whole[3:, 1], holed[3:, 1] = SCALER.centre[1], np.nan
    timestamps = 10**18 + 100 * 10**9 * np.arange(9)
    url = f"{server.url}/v2/models/{MODEL}/infer"
    answers = []
    for values, impute in ((whole, False), (holed, True)):
        body, headers = encode_request({"rows": values, "timestamps": timestamps}, impute)
        reply = server.client.post(url, content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        answers.append(decode_response(reply.content, reply.headers[HEADER_LENGTH])[1])
    close(answers[1]["smoothed_score"], answers[0]["smoothed_score"])
    assert answers[1]["imputed_channels"].tolist() == [CHANNELS[1]]
    assert answers[1]["dead"].ravel().tolist() == [False] * 7 + [True] * 2  # for more than 300 seconds
    assert answers[1]["alarm"][7:].all()
    body, headers = encode_request({"rows": holed})
    refused = server.client.post(url, content=body, headers=headers)
    assert refused.status_code == 400
    assert f"row 3, channel '{CHANNELS[1]}'" in refused.json()["error"]


def test_only_requested_outputs_are_sent(service: Service) -> None:
    inputs = [{"name": "rows", "shape": [1, 3], "datatype": "FP32", "data": [[1012.5, 17.75, 3510.0]]}]
    url = f"{service.combined.url}/v2/models/{MODEL}/infer"
    wanted = [{"name": "alarm"}, {"name": "score", "parameters": {"binary_data": True}}]
    answer = service.combined.client.post(url, json={"inputs": inputs, "outputs": wanted})
    length = int(answer.headers[HEADER_LENGTH])
    assert len(answer.content) == length + 4
    _, outputs = decode_response(answer.content, str(length))
    assert list(outputs) == ["alarm", "score"]
    unknown = service.combined.client.post(url, json={"inputs": inputs, "outputs": [{"name": "parts"}]})
    assert unknown.status_code == 400
    assert "output 'parts': unknown" in unknown.json()["error"]


def test_a_grpc_request_with_typed_contents_gets_typed_contents(service: Service, telemetry: np.ndarray) -> None:
    request = messages.ModelInferRequest(model_name=MODEL, model_version=service.bundle.info.version)
    for column, name in enumerate(CHANNELS):
        tensor = request.inputs.add(name=name, datatype="FP64", shape=[20])
        tensor.contents.fp64_contents.extend(telemetry[:20, column].tolist())
    with stub(service.combined.grpc_port) as methods:
        answer = {tensor.name: tensor.contents for tensor in methods.ModelInfer(request).outputs}
    expected = by_v2_binary(service.combined, telemetry[:20], None)
    close(np.array(answer["score"].fp32_contents), expected["score"])
    assert list(answer["alarm"].bool_contents) == expected["alarm"].tolist()
    assert [text.decode() for text in answer["top_channel"].bytes_contents] == expected["top_channel"].ravel().tolist()


@pytest.mark.parametrize(
    ("request_fields", "code", "message"),
    [
        ({"model_name": "other"}, StatusCode.NOT_FOUND, "other"),
        ({"model_name": MODEL, "model_version": "1"}, StatusCode.INVALID_ARGUMENT, "version '1'"),
        ({"model_name": MODEL}, StatusCode.INVALID_ARGUMENT, "missing"),
        (
            {"model_name": MODEL, "inputs": [{"name": "rows", "datatype": "FP32", "shape": [-1, 3]}]},
            StatusCode.INVALID_ARGUMENT,
            "input 'rows': shape",
        ),
    ],
    ids=["model", "version", "nothing", "shape"],
)
def test_invalid_grpc_requests_are_refused(
    service: Service, request_fields: dict[str, Any], code: StatusCode, message: str
) -> None:
    with stub(service.transformer.grpc_port) as methods, pytest.raises(RpcError) as error:
        methods.ModelInfer(messages.ModelInferRequest(**request_fields))
    assert error.value.code() is code
    assert message in error.value.details()


def test_metadata_name_inputs_and_version(service: Service) -> None:
    metadata = service.transformer.client.get(f"{service.transformer.url}/v2/models/{MODEL}").json()
    assert [tensor["name"] for tensor in metadata["inputs"]] == list(CHANNELS)
    assert metadata["versions"] == [service.bundle.info.version]
    parameters = metadata["parameters"]
    assert (parameters["smoothing"], parameters["smoothing_window"], parameters["context_rows"]) == ("median", 5, 5)
    with stub(service.transformer.grpc_port) as methods:
        answer = methods.ModelMetadata(messages.ModelMetadataRequest(name=MODEL))
    assert [tensor.name for tensor in answer.inputs] == list(CHANNELS)
    assert [tensor.name for tensor in answer.outputs] == [tensor["name"] for tensor in metadata["outputs"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models/eclss:explain", 404),
        ("GET", "/v1/models/eclss:predict", 405),
        ("POST", "/v1/models/other:predict", 404),
        ("GET", "/v1/models/other", 404),
        ("GET", "/v2/models/eclss/versions/1", 404),
        ("POST", "/v2/models/eclss/versions/1/infer", 404),
        ("POST", "/v2/repository/models/eclss/unload", 400),
        ("POST", "/v2/repository/models/eclss/load", 400),
        ("GET", "/v2/repository/models/eclss/load", 400),
        ("GET", "/v2/models/eclss/ready", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/nothing", 404),
    ],
)
def test_other_paths_than_inference(service: Service, method: str, path: str, status: int) -> None:
    answer = service.transformer.client.request(method, service.transformer.url + path)
    assert answer.status_code == status, answer.text


def test_cloud_event_headers_are_ignored(service: Service) -> None:
    headers = {"ce-id": "1", "ce-specversion": "0.0", "ce-type": "", "ce-source": ""}
    answer = service.combined.client.post(
        f"{service.combined.url}/v1/models/{MODEL}:predict", json={"instances": [[1, 2, 3]]}, headers=headers
    )
    assert answer.status_code == 200


def test_too_large_and_compressed_bodies_are_refused(service: Service) -> None:
    url = f"{service.combined.url}/v1/models/{MODEL}:predict"

    def chunks() -> Any:
        for _ in range(70):
            yield b" " * 2**20

    try:
        answer = service.combined.client.post(url, content=chunks())
    except httpx.WriteError:  # the server need not read on once it has answered
        answer = None
    assert answer is None or answer.status_code == 413
    compressed = service.combined.client.post(url, content=b"x", headers={"content-encoding": "gzip"})
    assert compressed.status_code == 415


def test_answers_carry_the_id_of_the_request(service: Service) -> None:
    url = f"{service.transformer.url}/v1/models/{MODEL}:predict"
    answer = service.transformer.client.post(url, json={"instances": []}, headers={"x-request-id": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert len(service.transformer.client.post(url, json={}).headers["x-request-id"]) == 32
