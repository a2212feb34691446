"""The files of deploy/monitoring, and the metrics that their queries read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
_METRIC = re.compile(r"\b(?:anomaly_\w+|up\b)")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def rules() -> dict[str, Any]:
    """The content of a rule file of Prometheus."""
    (document,) = documents("prometheus-rule.yaml")
    content: dict[str, Any] = document["spec"]
    return content


def alerts() -> list[dict[str, Any]]:
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return document


def panel_queries() -> Iterator[tuple[str, str]]:
    """Title and query of each query of the dashboard."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled(query: str) -> str:
    """A query with the variables of the dashboard as Grafana fills them in."""
    for name, value in {"namespace": ".*", "inferenceservice": ".*", "__rate_interval": "10s"}.items():
        query = query.replace(f"${name}", value)
    assert "$" not in query
    return query


def metrics_in(query: str) -> set[str]:
    return set(_METRIC.findall(query))
