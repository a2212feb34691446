"""Predictor and transformer as processes, queried over HTTP in the V1 protocol."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.model.bundle import Bundle
from tests.serving.bad_requests import BAD_BODIES, BAD_ROWS, LIST
from tests.serving.bundles import CHANNELS, ROW, SCALER, make_bundle

pytestmark = pytest.mark.slow
MODEL = "eclss"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Endpoint:
    """Where a server takes requests."""

    client: httpx.Client
    port: int

    def post(self, **request: Any) -> httpx.Response:
        return self.client.post(f"http://{LOOPBACK}:{self.port}/v1/models/{MODEL}:predict", **request)


@dataclass(frozen=True)
class Servers:
    """A predictor, the transformer of the same bundle, and two transformers that lack a fitting predictor."""

    bundle: Bundle
    other: Bundle
    predictor: Endpoint
    transformer: Endpoint
    transformer_of_other_model: Endpoint
    transformer_alone: Endpoint


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("serving")
    bundle = make_bundle(folder / "bundle")
    other = make_bundle(folder / "other", seed=1)
    ports = free_ports(5)

    def transformer(bundle_name: str, predictor_port: int) -> tuple[str, ...]:
        predictor_host = f"{LOOPBACK}:{predictor_port}"
        # As KServe spells the arguments that it appends; the last one has no option of the command.
        return (
            "serve_transformer", "--model-dir", str(folder / bundle_name), "--model_name", MODEL,
            "--predictor_host", predictor_host, "--enable_latency_logging", "false",
        )  # fmt: skip

    commands = {
        ports[0]: ("serve_predictor", "--model-dir", str(folder / "bundle"), f"--model_name={MODEL}"),
        ports[1]: transformer("bundle", ports[0]),
        ports[2]: transformer("other", ports[0]),
        ports[3]: transformer("bundle", ports[4]),
    }
    with running(commands) as processes, httpx.Client(trust_env=False, timeout=120) as client:
        wait_until_ready(processes, MODEL, 120, client)
        yield Servers(bundle, other, *(Endpoint(client, port) for port in ports[:4]))


def scaled_rows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(7).standard_normal((count, len(CHANNELS))).astype(np.float32)


@pytest.fixture(params=["predictor", "transformer"])
def endpoint(request: pytest.FixtureRequest, servers: Servers) -> Endpoint:
    found: Endpoint = getattr(servers, request.param)
    return found


def test_the_predictor_scores_as_the_model_does(servers: Servers) -> None:
    rows = scaled_rows(300)
    answer = servers.predictor.post(json={"instances": rows.tolist()}).json()
    expected = servers.bundle.scorer.contributions(rows)
    assert answer["model_version"] == servers.bundle.info.version
    predictions = answer["predictions"]
    np.testing.assert_allclose([row["parts"] for row in predictions], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose([row["score"] for row in predictions], expected.sum(axis=1), rtol=1e-5, atol=1e-5)


def test_the_transformer_scores_engineering_units_as_the_model_does(servers: Servers) -> None:
    raw = SCALER.inverse_transform(scaled_rows(300))
    named = [dict(zip(CHANNELS[::-1], row[::-1].tolist(), strict=True)) for row in raw]
    answer = servers.transformer.post(json={"instances": named}).json()
    contributions = servers.bundle.scorer.contributions(SCALER.transform(raw))
    scores = contributions.sum(axis=1)
    assert answer["model_version"] == servers.bundle.info.version
    predictions = answer["predictions"]
    np.testing.assert_allclose([row["score"] for row in predictions], scores, rtol=1e-5, atol=1e-5)
    assert {row["threshold"] for row in predictions} == {4.0}
    assert [row["alarm"] for row in predictions] == [row["score"] > 4.0 for row in predictions]
    assert {row["alarm"] for row in predictions} == {True, False}
    top = [row["top_channels"][0] for row in predictions]
    strongest = contributions.argmax(axis=1)
    assert [channel["channel"] for channel in top] == [CHANNELS[column] for column in strongest]
    np.testing.assert_allclose([channel["observed"] for channel in top], raw[np.arange(len(raw)), strongest])


def test_objects_lists_and_rows_with_absent_channels_get_the_same_answer(servers: Servers) -> None:
    rows = [ROW, LIST, {"valve_state": "OPEN", **ROW}]
    first, second, third = servers.transformer.post(json={"instances": rows}).json()["predictions"]
    assert first == second == third


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain"])
def test_the_content_type_does_not_matter(endpoint: Endpoint, content_type: str) -> None:
    body = json.dumps({"instances": [LIST]})
    as_json, other = (
        endpoint.post(content=body, headers={"content-type": kind}) for kind in ("application/json", content_type)
    )
    assert (other.status_code, other.json()) == (200, as_json.json())


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_answered_400_with_its_index_and_channel(endpoint: Endpoint, row: object, message: str) -> None:
    answer = endpoint.post(json={"instances": [LIST, row]})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_answered_400(endpoint: Endpoint, body: object, message: str) -> None:
    answer = endpoint.post(content=json.dumps(body), headers=JSON)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 5000],
    ids=["empty", "cut off", "no text", "deep"],
)
def test_invalid_json_is_answered_400(endpoint: Endpoint, body: bytes) -> None:
    answer = endpoint.post(content=body, headers=JSON)
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b"1e999"])
def test_a_value_that_is_not_finite_is_answered_400_with_row_and_channel(endpoint: Endpoint, value: bytes) -> None:
    answer = endpoint.post(content=b'{"instances": [[1, 2, %s]]}' % value, headers=JSON)
    assert answer.status_code == 400
    assert "row 0, channel 'fan_speed'" in answer.json()["error"]


def test_the_predictor_refuses_an_absent_channel(servers: Servers) -> None:
    answer = servers.predictor.post(json={"instances": [{"valve_state": 0, **ROW}]})
    assert answer.status_code == 400
    assert "channel 'valve_state': unknown" in answer.json()["error"]


def test_an_unreachable_predictor_is_answered_503(servers: Servers) -> None:
    answer = servers.transformer_alone.post(json={"instances": [LIST]})
    assert answer.status_code == 503
    assert "predictor does not answer" in answer.json()["error"]


@pytest.mark.parametrize("rows", [1, 2000])
def test_a_transformer_scores_rows_itself_while_its_predictor_has_another_model(servers: Servers, rows: int) -> None:
    """An update replaces one after the other."""
    raw = SCALER.inverse_transform(scaled_rows(rows))
    answer = servers.transformer_of_other_model.post(json={"instances": raw.tolist()}).json()
    assert answer["model_version"] == servers.other.info.version != servers.bundle.info.version
    expected = servers.other.scorer.contributions(SCALER.transform(raw)).sum(axis=1)
    np.testing.assert_allclose([row["score"] for row in answer["predictions"]], expected, rtol=1e-5, atol=1e-5)
