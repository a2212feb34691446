"""Servers in operation: without their predictor, when they are stopped, with several workers, and their metrics."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import Server, running, wait_until_ready
from tests.serving.bundles import CHANNELS, ROW, make_bundle
from tests.serving.conftest import MODEL, Service
from tests.serving.grpc_client import messages, stub

pytestmark = pytest.mark.slow  # many of these tests start processes or wait

TIMEOUT = 180.0  # generous: nothing here asserts on time
LARGE = 60_000  # rows that take a server a while


def url(port: int, path: str = ":predict") -> str:
    return f"http://{LOOPBACK}:{port}/v1/models/{MODEL}{path}"


@contextmanager
def ready(port: int, *command: str) -> Iterator[Server]:
    with running({port: command}) as (server,), httpx.Client(trust_env=False) as client:
        wait_until_ready([server], MODEL, 2 * TIMEOUT, client)
        yield server


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_get_503_while_the_predictor_is_down(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    predictor_port, port = free_ports(2)
    common = ("--model-dir", str(tmp_path), "--model-name", MODEL)
    predictor = ("serve_predictor", *common)
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def load() -> None:
        with httpx.Client(trust_env=False, timeout=TIMEOUT) as client:
            while not over.is_set():
                answer = client.post(url(port), json={"instances": [ROW]})
                answers.append((answer.status_code, answer.text))
                time.sleep(0.01)  # a server that starts meanwhile needs the cores

    def wait_for(status: int, since: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while status not in {code for code, _ in answers[since:]}:
            assert time.monotonic() < deadline, Counter(code for code, _ in answers[since:])
            time.sleep(0.02)

    with ready(port, "serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{predictor_port}"):
        threads = [threading.Thread(target=load) for _ in range(4)]
        try:
            with ready(predictor_port, *predictor) as server:
                for thread in threads:
                    thread.start()
                wait_for(200, 0)
                server.process.send_signal(signal.SIGKILL)
                server.process.wait(TIMEOUT)
                wait_for(503, len(answers))
            gone = len(answers)
            with ready(predictor_port, *predictor):
                wait_for(200, gone)
                back = len(answers) + len(threads)
                wait_for(200, back)
        finally:
            over.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
    assert {code for code, _ in answers} == {200, 503}
    assert {text for code, text in answers if code == 503 and "predictor does not answer" not in text} == set()


def test_readiness_can_depend_on_the_predictor(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    predictor_port, port = free_ports(2)
    common = ("--model-dir", str(tmp_path), "--model-name", MODEL)
    command = ("serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{predictor_port}")
    paths = (f"/v1/models/{MODEL}", f"/v2/models/{MODEL}/ready", "/v2/health/ready")
    root = f"http://{LOOPBACK}:{port}"
    started = {port: (*command, "--enable_predictor_health_check")}
    with running(started) as (server,), httpx.Client(trust_env=False) as client:
        deadline = time.monotonic() + 2 * TIMEOUT
        while True:
            try:
                client.get(root).raise_for_status()
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert [client.get(root + path).status_code for path in paths] == [503] * 3
        with ready(predictor_port, "serve_predictor", *common):
            assert [client.get(root + path).status_code for path in paths] == [200] * 3
        assert client.get(f"{root}/v1/models/another").status_code == 404
        logged = [json.loads(line) for line in server.log_file.read_text().splitlines()]
        assert "request refused: Model with name another does not exist." in [line["message"] for line in logged]
        assert not [line for line in logged if "traceback" in line or line["level"] == "ERROR"]


def test_a_request_in_flight_is_finished_when_the_server_is_stopped(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (port,) = free_ports(1)
    body = json.dumps({"instances": np.zeros((LARGE, len(CHANNELS))).tolist()}).encode()
    with ready(port, "serve_predictor", "--model-dir", str(tmp_path), "--model-name", MODEL) as server:

        def chunks() -> Iterator[bytes]:
            yield body[:1000]
            time.sleep(0.5)  # the server has begun to read
            os.kill(server.process.pid, signal.SIGTERM)
            time.sleep(0.5)  # and knows that it is to stop
            yield body[1000:]

        answer = httpx.post(url(port), content=chunks(), timeout=TIMEOUT, trust_env=False)
        assert server.process.wait(TIMEOUT) == 0
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == LARGE


def test_workers_share_requests_and_metrics(tmp_path: Path) -> None:
    make_bundle(tmp_path, threshold=-100.0)  # all rows are alarms
    port, grpc_port = free_ports(2)
    command = (
        "serve_predictor", "--combined", "--model-dir", str(tmp_path), "--model_name", MODEL, "--workers", "2",
        "--grpc_port", str(grpc_port),
    )  # fmt: skip
    body = {"instances": [ROW, ROW]}
    requests, deadline = 0, time.monotonic() + TIMEOUT
    with ready(port, *command) as server:
        workers: set[int] = set()
        while len(workers) < 2:  # any of them may take a connection, and each has to start first
            assert time.monotonic() < deadline
            with ThreadPoolExecutor(4) as pool:
                asked = [pool.submit(httpx.post, url(port), json=body, trust_env=False) for _ in range(8)]
            assert {answer.result().status_code for answer in asked} == {200}
            requests += len(asked)
            logged = [json.loads(line) for line in server.log_file.read_text().splitlines()]
            workers = {content["process"] for content in logged if content["message"] == "request"}
        request = messages.ModelInferRequest(model_name=MODEL)
        request.inputs.add(name="rows", datatype="FP64", shape=[1, 3]).contents.fp64_contents.extend([1.0, 2.0, 3.0])
        with stub(grpc_port) as methods:
            methods.ModelInfer(request)
        found = samples(httpx.get(f"http://{LOOPBACK}:{port}/metrics", trust_env=False).text)
    for content in logged:
        if content["message"] == "request":
            assert content["request_id"]
            assert (content["status"], content["rows"], content["alarms"]) == (200, 2, 2)
    assert found["anomaly_requests_total", ("v1", "200")] == requests
    assert found["anomaly_requests_total", ("grpc", "200")] == 1
    rows = 2 * requests + 1
    assert found["anomaly_rows_total", ()] == found["anomaly_alarms_total", ()] == rows
    assert found["anomaly_score_bucket", ("+Inf",)] == rows


def test_metrics_count_requests_rows_alarms_and_drift(service: Service) -> None:
    server = service.transformer
    address = f"{server.url}/v1/models/{MODEL}:predict"
    before = samples(server.client.get(f"{server.url}/metrics").text)
    drifted = {**ROW, "fan_speed": 3500.0 + 5 * 40.0}  # five standard deviations
    for _ in range(50):
        answer = server.client.post(address, json={"instances": [drifted] * 1000}).json()
    refused = server.client.post(address, json={"instances": []})
    assert refused.status_code == 400
    after = samples(server.client.get(f"{server.url}/metrics").text)

    def grown(name: str, *labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0.0)

    alarms = sum(row["alarm"] for row in answer["predictions"])
    assert alarms in (0, 1000)
    assert grown("anomaly_requests_total", "v1", "200") == 50
    assert grown("anomaly_requests_total", "v1", "400") == 1
    assert grown("anomaly_request_seconds_count", "v1") == 51
    assert grown("anomaly_rows_total") == grown("anomaly_score_bucket", "+Inf") == 50_000
    assert grown("anomaly_alarms_total") == 50 * alarms
    assert grown("anomaly_input_outside_total", "fan_speed") == 50_000
    assert grown("anomaly_input_outside_total", "cabin_pressure") == 0
    assert after["anomaly_input_drift", ("fan_speed",)] == pytest.approx(5.0, abs=0.2)
    assert abs(after["anomaly_input_drift", ("cabin_pressure",)]) < 1
    (info,) = (set(labels) for name, labels in after if name == "anomaly_model_info")
    assert info == {MODEL, "transformer", service.bundle.info.version}


# A server whose thread never ends the first large request; the lines that it writes say how far it is.
STUCK = """
import sys
from container_component_src.serving.protocol import process
process.GRACE_PERIOD = 2
from container_component_src.serving.server.roles import RowService
rows_of_json = RowService.rows_of_json
def stuck(self, body):
    if len(body) < 1000:  # the server tries itself before it listens
        return rows_of_json(self, body)
    print("stuck", flush=True)
    while True:
        pass
RowService.rows_of_json = stuck
from container_component_src import main
main.main(sys.argv[1:])
"""


def test_a_server_ends_when_it_is_told_to_stop_whatever_a_thread_is_doing(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (port,) = free_ports(1)
    arguments = ("serve_predictor", "--model-dir", str(tmp_path), "--model-name", MODEL, "--http-port", str(port))
    program = [sys.executable, "-c", STUCK, *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("Uvicorn running" in line for line in process.stdout)
            with socket.create_connection((LOOPBACK, port)) as client:
                body = b'{"instances": [' + b" " * LARGE * 2 + b"]}"
                head = f"POST /v1/models/{MODEL}:predict HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
                client.sendall(head.encode() + body)
                assert any(line == "stuck\n" for line in process.stdout)
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert process.returncode == 1
