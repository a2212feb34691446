"""The payload log of a server: what is in it, what is not, and that it never fails a request."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.serving.protocol.process import SMOKE_TEST_ID
from container_component_src.serving.protocol.v2 import encode_request
from container_component_src.serving.server.payloads import PayloadLog
from container_component_src.serving.server.roles import Role, ServingOptions
from container_component_src.steps.serving import PayloadLogging, Server
from container_component_src.telemetry.arrow import timestamps_of
from container_component_src.telemetry.payload_log import expected_in, read_payload_log, values_in
from tests.serving.bundles import CHANNELS, ROW, SCALER, make_bundle
from tests.serving.grpc_client import messages, stub
from tests.serving.models import make_model
from tests.serving.protocols import ASK, AnomalyModel, Ask
from tests.serving.server.test_app_in_process import ask_in_process, client, model_of, run

V1 = "/v1/models/model:predict"
SECOND = 10**9


def with_log(model: AnomalyModel, folder: str | Path, **options: Any) -> PayloadLog:
    logging = PayloadLogging(payload_log=str(folder), **options)
    model.payloads = PayloadLog(logging, model.service.info, model.metrics.payloads)
    return model.payloads


def ask(model: AnomalyModel, values: np.ndarray, request_id: str = "id") -> list[dict[str, Any]]:
    body = json.dumps({"instances": values.tolist()}).encode()
    found: list[dict[str, Any]] = json.loads(asyncio.run(model.answer_v1(body, {"x-request-id": request_id})).content)[
        "predictions"
    ]
    return found


def rows_near_centre(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(SCALER.centre, SCALER.scale, size=(rows, len(CHANNELS)))


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("request_by", ASK)
def test_logged_rows_are_what_was_sent_and_answered(request_by: Ask, timed: bool, tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", impute=True, threshold=5.0, smoothing_window=2)
    log = with_log(model, tmp_path / "log")
    values = rows_near_centre(20)
    values[3, 1] = np.nan
    times = 1_700_000_000 * SECOND + np.arange(20) * SECOND if timed else None
    answers = request_by(model, values, times, True)
    log.close()

    found = read_payload_log(str(tmp_path / "log"), CHANNELS)

    np.testing.assert_array_equal(values_in(found, CHANNELS), values.astype(np.float32))
    assert found.column("row").to_pylist() == list(range(20))
    assert found.column("score").to_pylist() == pytest.approx([answer["score"] for answer in answers], rel=1e-6)
    assert found.column("alarm").to_pylist() == [answer["alarm"] for answer in answers]
    assert set(found.column("model_version").to_pylist()) == {model.version}
    by_channel = [{top["channel"]: top["expected"] for top in answer["top_channels"]} for answer in answers]
    expected = [[row[name] for name in CHANNELS] for row in by_channel]
    np.testing.assert_allclose(expected_in(found, CHANNELS), expected, rtol=1e-6)
    if times is not None:
        assert timestamps_of(found.column("timestamp")).tolist() == times.tolist()
        assert found.column("smoothed_score").to_pylist() == [answer["smoothed_score"] for answer in answers]
    else:
        assert found.column("timestamp").null_count == found.column("smoothed_score").null_count == 20


def test_alarms_of_requests_outside_the_sample_are_logged(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", threshold=5.0)
    log = with_log(model, tmp_path / "log", payload_log_fraction=0)
    values = rows_near_centre(50)
    answers = ask(model, values)
    log.close()
    alarms = [row for row, answer in enumerate(answers) if answer["alarm"]]
    found = read_payload_log(str(tmp_path / "log"), CHANNELS)
    assert 0 < len(alarms) < 50
    assert found.column("row").to_pylist() == alarms
    np.testing.assert_array_equal(values_in(found, CHANNELS), values[alarms].astype(np.float32))
    assert found.column("score").to_pylist() == pytest.approx([answers[row]["score"] for row in alarms], rel=1e-6)


def test_alarms_outside_the_sample_can_be_left_out(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", threshold=5.0)
    log = with_log(model, tmp_path / "log", payload_log_fraction=0, payload_log_alarms=False)
    assert any(answer["alarm"] for answer in ask(model, rows_near_centre(50)))
    log.close()
    assert not (tmp_path / "log").exists()


def test_the_sample_depends_on_the_id_alone(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", threshold=1e6)
    names = [f"request-{number}" for number in range(300)]
    logged = []
    for replica in ("a", "b"):
        log = with_log(model, tmp_path / replica, payload_log_fraction=0.3)
        for name in names if replica == "a" else reversed(names):
            ask(model, rows_near_centre(1), name)
        log.close()
        logged.append(read_payload_log(str(tmp_path / replica)).column("request_id").to_pylist())
    assert {*logged[0]} == {*logged[1]}
    assert 60 < len(logged[0]) < 120


def test_the_request_of_a_smoke_test_is_not_logged(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle", threshold=-1e6)  # every row is an alarm
    log = with_log(model, tmp_path / "log")
    ask(model, rows_near_centre(1), f"{SMOKE_TEST_ID}1")
    ask(model, rows_near_centre(1), "other")
    log.close()
    assert read_payload_log(str(tmp_path / "log")).column("request_id").to_pylist() == ["other"]


def test_a_refused_request_is_not_logged(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    model = model_of(str(tmp_path / "bundle"))
    log = with_log(model, tmp_path / "log")
    with pytest.raises(Exception, match="not finite"):
        ask(model, np.full((1, len(CHANNELS)), np.nan))
    log.close()
    assert not (tmp_path / "log").exists()


def test_headers_are_not_logged(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    model = model_of(str(tmp_path / "bundle"))
    log = with_log(model, tmp_path / "log")
    body = json.dumps({"instances": [ROW]}).encode()
    asyncio.run(model.answer_v1(body, {"x-request-id": "id", "authorization": "Bearer secret", "cookie": "secret"}))
    log.close()
    assert "secret" not in str(read_payload_log(str(tmp_path / "log"), CHANNELS).to_pylist())


def test_a_transformer_logs_what_its_predictor_answers(tmp_path: Path) -> None:
    from container_component_src.serving.server.app import InferenceApp

    make_bundle(tmp_path / "bundle")
    transformer = model_of(str(tmp_path / "bundle"), Role.TRANSFORMER)
    log = with_log(transformer, tmp_path / "log")

    async def post() -> httpx.Response:
        ask_in_process(transformer, client(InferenceApp(model_of(str(tmp_path / "bundle"), Role.PREDICTOR))))
        async with client(InferenceApp(transformer)) as http:
            return await http.post(V1, json={"instances": [ROW]}, headers={"x-request-id": "mine"})

    (answer,) = run(post()).json()["predictions"]
    log.close()
    found = read_payload_log(str(tmp_path / "log"), CHANNELS)
    assert found.column("request_id").to_pylist() == ["mine"]
    assert values_in(found, CHANNELS).tolist() == [[np.float32(ROW[name]) for name in CHANNELS]]
    top = {item["channel"]: item["expected"] for item in answer["top_channels"]}
    np.testing.assert_allclose(expected_in(found, CHANNELS), [[top[name] for name in CHANNELS]], rtol=1e-6)


@pytest.mark.usefixtures("bucket")
def test_a_store_that_is_away_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    model = make_model(tmp_path / "bundle")
    log = with_log(model, "s3://bucket/log")
    assert len(ask(model, rows_near_centre(3))) == 3
    log.close()
    assert "3 rows are dropped" in caplog.text
    lines = model.metrics.exposition().decode().splitlines()
    assert "anomaly_payload_dropped_rows_total 3.0" in lines
    assert "anomaly_payload_rows_total 0.0" in lines


def test_a_log_on_s3(tmp_path: Path, bucket: str) -> None:
    model = make_model(tmp_path / "bundle")
    log = with_log(model, f"{bucket}/log")
    values = rows_near_centre(3)
    ask(model, values)
    log.close()
    found: pa.Table = read_payload_log(f"{bucket}/log", CHANNELS)
    np.testing.assert_array_equal(values_in(found, CHANNELS), values.astype(np.float32))
    assert "anomaly_payload_rows_total 3.0" in model.metrics.exposition().decode().splitlines()


def test_a_predictor_exports_no_counts_of_a_log_that_it_cannot_have(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    options = ServingOptions(Role.PREDICTOR, Server(model_dir=str(tmp_path / "bundle")))
    assert "anomaly_payload" not in model_of(str(tmp_path / "bundle"), options.role).metrics.exposition().decode()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_logs_its_requests_until_it_is_stopped(workers: int, tmp_path: Path) -> None:
    bundle, log = str(tmp_path / "bundle"), tmp_path / "log"
    make_bundle(Path(bundle))
    old = log / "date=2001-01-01"
    old.mkdir(parents=True)
    http_port, grpc_port = free_ports(2)
    options = ["--workers", str(workers), "--grpc-port", str(grpc_port)]
    command = ("serve_predictor", "--model-dir", bundle, "--combined", "--payload-log", str(log), *options)
    with running({http_port: command}) as servers, httpx.Client(trust_env=False, timeout=60) as http:
        wait_until_ready(servers, "model", 120, http)
        url = f"http://{LOOPBACK}:{http_port}"
        assert http.post(f"{url}{V1}", json={"instances": [ROW]}, headers={"x-request-id": "v1"}).status_code == 200
        values = np.array([[ROW[name] for name in CHANNELS]])
        body, headers = encode_request({"rows": values})
        headers["x-request-id"] = "v2"
        assert http.post(f"{url}/v2/models/model/infer", content=body, headers=headers).status_code == 200
        message = messages.ModelInferRequest(model_name="model")
        message.inputs.add(name="rows", datatype="FP64", shape=values.shape).contents.fp64_contents.extend(values[0])
        with stub(grpc_port) as methods:
            methods.ModelInfer(message, timeout=60)
    found = read_payload_log(str(log), CHANNELS)
    assert found.num_rows == 3
    assert {"v1", "v2"} < {*found.column("request_id").to_pylist()}
    np.testing.assert_array_equal(values_in(found, CHANNELS), np.repeat(values.astype(np.float32), 3, axis=0))
    assert not old.exists()
