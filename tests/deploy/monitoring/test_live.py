"""The queries of the dashboard and of the alerts, asked of a real Prometheus that collects from real servers."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from tests.deploy.monitoring.files import filled, panel_queries, rules
from tests.deploy.monitoring.registries import of_a_check, of_a_stream
from tests.programs import program
from tests.serving.bundles import ROW, make_bundle

pytestmark = pytest.mark.slow

MODEL, LABELS = "eclss", {"namespace": "ns", "inferenceservice": "eclss", "component": "predictor", "pod": "p-0"}
SECONDS = 60.0  # until all queries have an answer
REQUESTS: tuple[dict[str, Any], ...] = (
    {"instances": [ROW] * 10},
    {"instances": []},  # refused
    {"instances": [{**ROW, "fan_speed": 1e6}], "timestamps": ["2026-01-01T00:00:00Z"]},
    {
        "instances": [{**ROW, "fan_speed": None}] * 2,
        "timestamps": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"],
        "parameters": {"impute_missing": True},
    },
)


class Prometheus:
    """A running Prometheus."""

    def __init__(self, client: httpx.Client, port: int) -> None:
        self._client = client
        self._url = f"http://{LOOPBACK}:{port}"

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(f"{self._url}/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer

    def is_empty(self, query: str) -> bool:
        return not self.get("query", query=query)["data"]["result"]


@contextlib.contextmanager
def prometheus(folder: Path, client: httpx.Client, targets: dict[int, dict[str, str]]) -> Iterator[Prometheus]:
    """Run a Prometheus with the alerts that collects from ports of this machine, each with its labels."""
    (port,) = free_ports(1)
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    static = [{"targets": [f"{LOOPBACK}:{target}"], "labels": labels} for target, labels in targets.items()]
    scraped = {"job_name": "test", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": static}
    configuration = {"rule_files": ["rules.yaml"], "scrape_configs": [scraped]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    arguments = {
        "config.file": folder / "prometheus.yaml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"{LOOPBACK}:{port}",
    }
    command = [str(program("prometheus")), *(f"--{name}={value}" for name, value in arguments.items())]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Prometheus(client, port)
        finally:
            process.terminate()


@contextlib.contextmanager
def exported(port: int, registry: CollectorRegistry) -> Iterator[None]:
    """Let metrics be collected from a port."""
    server, thread = start_http_server(port, LOOPBACK, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has collected until every panel of the dashboard has data."""
    folder = tmp_path_factory.mktemp("monitoring")
    make_bundle(folder / "bundle")
    port, stream_port, check_port = free_ports(3)
    options = ("--model_dir", str(folder / "bundle"), "--model_name", MODEL, "--dead-after", "1")
    stream, go_on = of_a_stream()
    targets = {port: LABELS, stream_port: {"namespace": "ns", "pod": "s-0"}, check_port: {}}
    with (
        exported(stream_port, stream),
        exported(check_port, of_a_check()),
        running({port: ("serve_predictor", "--combined", *options)}) as servers,
        httpx.Client(trust_env=False, timeout=60) as client,
        prometheus(folder, client, targets) as found,
    ):
        wait_until_ready(servers, MODEL, SECONDS, client)
        until = time.monotonic() + SECONDS
        empty = [filled(query) for _, query in panel_queries()]
        while empty and time.monotonic() < until:
            go_on()
            for request in REQUESTS:
                client.post(f"http://{LOOPBACK}:{port}/v1/models/{MODEL}:predict", json=request)
            with contextlib.suppress(httpx.TransportError):  # it is not there yet
                empty = [query for query in empty if found.is_empty(query)]
            time.sleep(0.2)
        yield found


@pytest.mark.parametrize(("title", "query"), [*panel_queries()])
def test_every_panel_has_data(collected: Prometheus, title: str, query: str) -> None:
    assert not collected.is_empty(filled(query))


def test_the_alerts_can_be_evaluated(collected: Prometheus) -> None:
    groups = collected.get("rules")["data"]["groups"]
    assert {group["name"] for group in groups} == {group["name"] for group in rules()["groups"]}
    for rule in (rule for group in groups for rule in group["rules"]):
        assert not rule.get("lastError")
        collected.get("query", query=rule["query"])
