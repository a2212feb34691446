"""A check for drift reaches a Pushgateway over HTTP."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from container_component_src.drift.detection import find_drift
from container_component_src.drift.metrics import push
from container_component_src.errors import StepError
from tests.drift.cases import info_with_references, normal_rows
from tests.serving.bundles import CHANNELS


class Gateway(HTTPServer):
    """Keeps what is pushed, and answers with a status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.pushed: list[tuple[str, str, str]] = []  # method, path and body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.pushed.append((self.command, self.path, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_metrics_are_pushed(gateway: Gateway) -> None:
    rows = normal_rows()
    rows.values[:, 0] += 100
    report = find_drift(info_with_references(), [rows])
    push(report, gateway.url, "eclss", now=1_700_000_000.5)
    ((method, path, body),) = gateway.pushed
    samples = {
        (sample.name, sample.labels.get("channel", "")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert (method, path) == ("PUT", "/metrics/job/check_drift/inferenceservice/eclss")
    assert samples == {
        ("anomaly_drift_exceeded", ""): 1,
        ("anomaly_drift_channels", ""): 1,
        ("anomaly_drift_checked_timestamp_seconds", ""): 1_700_000_000.5,
        **{("anomaly_drift_psi", name): report.channels[name].psi for name in CHANNELS},
    }


def test_a_gateway_that_refuses_is_an_error(gateway: Gateway) -> None:
    gateway.status = 400
    report = find_drift(info_with_references(), [normal_rows()])
    with pytest.raises(StepError, match=r"the Pushgateway does not take the metrics \(.*400.*\); check --pushgateway"):
        push(report, gateway.url, "eclss", now=0.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "ftp://127.0.0.1:1", "http://127.0.0.1:1/a b"])
def test_a_wrong_address_is_an_error(url: str) -> None:
    report = find_drift(info_with_references(), [normal_rows()])
    with pytest.raises(StepError, match="does not take the metrics"):
        push(report, url, "eclss", now=0.0)
