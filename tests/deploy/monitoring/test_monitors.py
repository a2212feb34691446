"""Monitors and rules as objects of the Prometheus Operator, and what the monitors select."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from container_component_src.cluster.step import MANAGED_BY
from container_component_src.steps.serving import HTTP_PORT
from tests.deploy.monitoring.files import documents

_DURATION = r"^\d+(ms|[smhdw])$"


class Closed(BaseModel):
    """An object of the API, of which a field that is not known is an error: the API server would drop it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Closed):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    labels: dict[str, str]


class Expression(Closed):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class Selector(Closed):
    match_labels: dict[str, str] = Field(default={}, alias="matchLabels")
    match_expressions: list[Expression] = Field(default=[], alias="matchExpressions")


class Relabeling(Closed):
    source_labels: list[str] = Field(alias="sourceLabels")
    target_label: str = Field(alias="targetLabel")


class Endpoint(Closed):
    port: str = ""  # the name of one
    target_port: int | str | None = Field(default=None, alias="targetPort")
    path: str
    interval: str = Field(pattern=_DURATION)
    relabelings: list[Relabeling] = []


class ServiceMonitorSpec(Closed):
    selector: Selector
    endpoints: list[Endpoint]


class PodMonitorSpec(Closed):
    selector: Selector
    endpoints: list[Endpoint] = Field(alias="podMetricsEndpoints")


class Rule(Closed):
    alert: str
    expr: str
    duration: str = Field(default="0s", pattern=_DURATION, alias="for")
    labels: dict[str, str]
    annotations: dict[str, str]


class Group(Closed):
    name: str
    rules: list[Rule]


class PrometheusRuleSpec(Closed):
    groups: list[Group]


KINDS: dict[str, type[Closed]] = {
    "ServiceMonitor": ServiceMonitorSpec,
    "PodMonitor": PodMonitorSpec,
    "PrometheusRule": PrometheusRuleSpec,
}
SERVICE_LABELS = {**MANAGED_BY, "serving.kserve.io/inferenceservice": "eclss", "component": "predictor"}  # by KServe


def spec_of(document: dict[str, Any]) -> Any:
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    assert document["apiVersion"] == "monitoring.coreos.com/v1"
    Metadata.model_validate(document["metadata"])
    return KINDS[document["kind"]].model_validate(document["spec"])


def selects(selector: Selector, labels: dict[str, str]) -> bool:
    expected = {"Exists": True, "DoesNotExist": False}
    return selector.match_labels.items() <= labels.items() and all(
        (item.key in labels) is expected[item.operator] for item in selector.match_expressions
    )


@pytest.mark.parametrize("name", ["service-monitor.yaml", "pod-monitor.yaml", "prometheus-rule.yaml"])
def test_files_have_the_fields_of_the_operator(name: str) -> None:
    for document in documents(name):
        spec_of(document)


def test_each_pod_of_a_service_is_monitored_once() -> None:
    (service_monitor,) = documents("service-monitor.yaml")
    pod_monitor, _ = documents("pod-monitor.yaml")
    of_knative = {
        **SERVICE_LABELS,
        "serving.knative.dev/service": "eclss-predictor",
        "serving.knative.dev/revision": "1",
    }
    for labels, monitors in (
        (SERVICE_LABELS, (True, False)),
        (of_knative, (False, True)),
        ({"app": "other"}, (False,) * 2),
    ):
        specs = [spec_of(document) for document in (service_monitor, pod_monitor)]
        assert tuple(selects(spec.selector, labels) for spec in specs) == monitors
    for spec in specs:
        (endpoint,) = spec.endpoints
        assert (endpoint.target_port, endpoint.path) == (HTTP_PORT, "/metrics")
        assert [item.target_label for item in endpoint.relabelings] == ["inferenceservice", "component"]
