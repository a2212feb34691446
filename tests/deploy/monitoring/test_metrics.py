"""The metrics that alerts and panels read are those that the programs export."""

import asyncio
import sys
from pathlib import Path
from unittest import mock

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server.app import InferenceApp
    from container_component_src.serving.server.model import AnomalyModel
    from container_component_src.serving.server.roles import Role, ServingOptions, load
    from container_component_src.serving.server.server import build_model

from container_component_src.steps.serving import Server
from tests.deploy.monitoring.files import alerts, metrics_in, panel_queries
from tests.serving.bundles import ROW, make_bundle

OF_PROMETHEUS = {"up"}
NOT_YET = {
    *("anomaly_stream_rows_total", "anomaly_stream_dropped_rows_total", "anomaly_stream_alarms_total"),
    *("anomaly_stream_open_alarms", "anomaly_stream_latency_seconds_bucket", "anomaly_stream_buffered_rows"),
    *("anomaly_stream_last_row_timestamp_seconds", "anomaly_stream_dead_channels"),
    *("anomaly_drift_exceeded", "anomaly_drift_channels", "anomaly_drift_psi"),
    *("anomaly_drift_checked_timestamp_seconds", "anomaly_payload_rows_total", "anomaly_payload_dropped_rows_total"),
}


def names_in(exposition: str) -> set[str]:
    """Names of the series that Prometheus reads."""
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}


@pytest.fixture(scope="module")
def of_the_server(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the series of a server that has answered a request."""
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder)
    options = ServingOptions(Role.COMBINED, Server(model_dir=str(folder)))
    model = AnomalyModel(load(options, "http://predictor"), build_model)
    model.ready = True

    async def ask() -> str:
        transport = httpx.ASGITransport(InferenceApp(model))
        async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=60) as client:
            answer = await client.post("/v1/models/model:predict", json={"instances": [ROW] * 2})
            assert answer.status_code == 200
            return (await client.get("/metrics")).text

    return names_in(asyncio.run(ask()))


def test_alerts_and_panels_read_metrics_that_exist(of_the_server: set[str]) -> None:
    exported = OF_PROMETHEUS | of_the_server | NOT_YET
    for alert in alerts():
        assert metrics_in(alert["expr"]) <= exported, alert["alert"]
    for title, query in panel_queries():
        assert metrics_in(query) <= exported, title


def test_every_own_metric_has_a_panel(of_the_server: set[str]) -> None:
    shown = {name for _, query in panel_queries() for name in metrics_in(query)}
    own = {name for name in of_the_server | NOT_YET if name.startswith("anomaly_")}
    parts_of_histograms = {name for name in own if name.endswith(("_sum", "_count"))}
    assert own - shown == parts_of_histograms
