"""KServe's own log of bodies, as rows of the payload log."""

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from container_component_src import storage
from container_component_src.serving.client.kserve_log import read_kserve_log
from container_component_src.serving.protocol.v2 import encode_request
from container_component_src.serving.server.payloads import PayloadLog
from container_component_src.steps.serving import PayloadLogging
from container_component_src.telemetry.payload_log import Period, expected_in, read_payload_log, values_in
from tests.serving.bundles import CHANNELS, SCALER
from tests.serving.models import make_model
from tests.serving.protocols import AnomalyModel

TEXT, SECOND = pa.string(), 10**9
# The names and types of different versions of KServe; other columns are not read.
OLD = {"reqType": TEXT, "id": TEXT, "component": TEXT, "bytes": TEXT, "contentType": TEXT}
NEW = {"req_type": TEXT, "id": TEXT, "component": TEXT, "bytes": pa.binary(), "content_type": TEXT}
ABSENT = frozenset(SCALER.absent)
EVENT = "org.kubeflow.serving.inference."


def write(uri: str, schema: dict[str, pa.DataType], rows: list[tuple[str, str, bytes, str]]) -> None:
    """Write events as KServe does; rows are the kind, the id, the body and the component."""
    records = []
    for kind, name, body, component in rows:
        content: Any = base64.b64encode(body).decode() if schema["bytes"] == TEXT else body
        values = (f"{EVENT}{kind}", name, component, content, "application/json")
        records.append(dict(zip(schema, values, strict=True)))
    with storage.resolve(uri).open_output() as file:
        pq.write_table(pa.Table.from_pylist(records, schema=pa.schema(list(schema.items()))), file)


def telemetry(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(SCALER.centre, SCALER.scale, size=(rows, len(CHANNELS)))


def requests(rows: int = 4) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Bodies and headers of requests for rows with timestamps, in JSON of both protocols and in binary tensors."""
    values, times = telemetry(rows), 1_700_000_000 * SECOND + np.arange(rows) * SECOND
    instances = [dict(zip(CHANNELS, row, strict=True), valve_state=1) for row in values.tolist()]
    v1 = json.dumps({"instances": instances, "timestamps": times.tolist()}).encode()
    tensors = [
        {"name": name, "shape": [rows], "datatype": "FP64", "data": column.tolist()}
        for name, column in zip(CHANNELS, values.T, strict=True)
    ]
    v2 = json.dumps({"inputs": tensors}, ensure_ascii=False).encode()
    return {"v1": (v1, {}), "v2": (v2, {}), "binary": encode_request({"rows": values, "timestamps": times})}


def answered(model: AnomalyModel, name: str, body: bytes, headers: dict[str, str]) -> bytes:
    answer = model.answer_v1 if name == "v1" else model.answer_v2
    content = asyncio.run(answer(body, {**headers, "x-request-id": name})).content
    return content if isinstance(content, bytes) else b"".join(content)


@pytest.mark.parametrize("schema", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_the_rows_are_those_of_the_servers_own_log(
    schema: dict[str, pa.DataType], place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = str(tmp_path / "kserve") if place == "folder" else f"{request.getfixturevalue('bucket')}/kserve"
    model = make_model(tmp_path / "bundle", threshold=5.0, smoothing_window=2)
    info = model.service.info
    log = model.payloads = PayloadLog(PayloadLogging(payload_log=str(tmp_path / "log")), info, lambda *_: None)
    for name, (body, headers) in requests().items():
        answer = answered(model, name, body, headers)
        write(f"{root}/ns/eclss/predictor/{name}-request.parquet", schema, [("request", name, body, "predictor")])
        write(f"{root}/ns/eclss/predictor/{name}-response.parquet", schema, [("response", name, answer, "predictor")])
    log.close()

    own, found = read_payload_log(str(tmp_path / "log"), CHANNELS), read_kserve_log(root, CHANNELS, ABSENT)

    order = [("request_id", "ascending"), ("row", "ascending")]
    own, found = own.sort_by(order), found.sort_by(order)
    assert found.schema == own.schema
    for column in ("timestamp", "request_id", "model_version", "row", "smoothed_score", "alarm"):
        assert found.column(column) == own.column(column)
    np.testing.assert_allclose(found.column("score"), own.column("score"), rtol=1e-6)
    np.testing.assert_array_equal(values_in(found, CHANNELS), values_in(own, CHANNELS))
    np.testing.assert_allclose(expected_in(found, CHANNELS), expected_in(own, CHANNELS), rtol=1e-6)


def test_events_in_one_file_are_joined_by_their_ids(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle")
    body, headers = requests()["v1"]
    answer = answered(model, "v1", body, headers)
    events = [
        ("response", "a", answer, "predictor"),
        ("request", "b", body, "predictor"),
        ("request", "c", body, "predictor"),  # without an answer
        ("request", "a", body, "predictor"),
        ("response", "b", answer, "predictor"),
        ("request", "d", body, "transformer"),
        ("response", "d", answer, "transformer"),
    ]
    write(str(tmp_path / "log" / "batch.parquet"), NEW, events)
    found = read_kserve_log(str(tmp_path / "log"), CHANNELS, ABSENT)
    assert found.column("request_id").to_pylist() == ["a"] * 4 + ["b"] * 4
    assert read_kserve_log(str(tmp_path / "log"), CHANNELS, ABSENT, component="transformer").num_rows == 4


def test_a_period_has_the_requests_of_files_that_were_written_in_it(tmp_path: Path) -> None:
    model = make_model(tmp_path / "bundle")
    body, headers = requests()["v1"]
    events = [("request", "a", body, "predictor"), ("response", "a", answered(model, "v1", body, headers), "predictor")]
    write(str(tmp_path / "log" / "batch.parquet"), NEW, events)
    written = (tmp_path / "log" / "batch.parquet").stat().st_mtime_ns
    for period, rows in ((Period(written - SECOND, written + SECOND), 4), (Period(0, written - SECOND), 0)):
        assert read_kserve_log(str(tmp_path / "log"), CHANNELS, ABSENT, period).num_rows == rows


def test_what_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make_model(tmp_path / "bundle")
    body, headers = requests()["v1"]
    answer = answered(model, "v1", body, headers)
    short = json.dumps({"predictions": json.loads(answer)["predictions"][:1]}).encode()
    pairs = {"json": (b"{", answer), "channel": (b'{"instances": [{"x": 1}]}', answer), "short": (body, short)}
    pairs |= {"answer": (body, b"[]"), "good": (body, answer)}
    events = [("request", name, pair[0], "predictor") for name, pair in pairs.items()]
    events += [("response", name, pair[1], "predictor") for name, pair in pairs.items()]
    write(str(tmp_path / "log" / "batch.parquet"), NEW, events)
    (tmp_path / "log" / "half.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "log" / "other.parquet")
    (tmp_path / "log" / "notes.txt").write_text("no log")
    with caplog.at_level(logging.WARNING):
        found = read_kserve_log(str(tmp_path / "log"), CHANNELS, ABSENT)
    assert found.column("request_id").to_pylist() == ["good"] * 4
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 6
    for name in ("json", "channel", "short", "answer", "half.parquet", "other.parquet"):
        assert any(name in message for message in warned), warned


def test_an_empty_log_has_no_rows(tmp_path: Path) -> None:
    assert read_kserve_log(str(tmp_path / "none"), CHANNELS).num_rows == 0
