"""The metrics that alerts and panels read are those that the programs export."""

import asyncio
import sys
from unittest import mock

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

with mock.patch.object(sys, "argv", ["pytest"]):  # kserve would parse the arguments of pytest
    from container_component_src.serving.server.app import InferenceApp
    from container_component_src.serving.server.model import AnomalyModel
    from container_component_src.serving.server.roles import Role, ServingOptions, load
    from container_component_src.serving.server.server import build_model

from container_component_src.steps.serving import Server
from tests.deploy.monitoring.files import alerts, dashboard, metrics_in, panel_queries
from tests.deploy.monitoring.registries import of_a_check, of_a_stream
from tests.serving.bundles import ROW, make_bundle

OF_PROMETHEUS = {"up"}


def names_in(exposition: str) -> set[str]:
    """Names of the series that Prometheus reads."""
    return {sample.name for family in text_string_to_metric_families(exposition) for sample in family.samples}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the series of a server that has answered a request, of a stream and of a check for drift."""
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

    stream, go_on = of_a_stream()
    go_on()
    others = [generate_latest(registry).decode() for registry in (stream, of_a_check())]
    return {name for text in (asyncio.run(ask()), *others) for name in names_in(text)}


def test_alerts_and_panels_read_metrics_that_exist(exported: set[str]) -> None:
    variables = [(item["name"], item["query"]["query"]) for item in dashboard()["templating"]["list"][1:]]
    of_alerts = [(alert["alert"], alert["expr"]) for alert in alerts()]
    for name, query in [*variables, *of_alerts, *panel_queries()]:
        assert metrics_in(query) <= exported | OF_PROMETHEUS, name


def test_every_own_metric_has_a_panel(exported: set[str]) -> None:
    shown = {name for _, query in panel_queries() for name in metrics_in(query)}
    own = {name for name in exported if name.startswith("anomaly_")}
    assert {name for name in own - shown if not name.endswith(("_sum", "_count", "_created"))} == set()
