"""The manifests of the operator's console."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from container_component_src.console.guard import PUBLIC
from container_component_src.steps.console import TOKEN_VARIABLE, is_loopback
from container_component_src.steps.shared import PodSettings
from tests.cluster import schemas

FILE = Path(__file__).resolve().parents[2] / "deploy" / "console.yaml"


def documents() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(FILE.read_text(encoding="utf-8"))}


def pod() -> dict[str, Any]:
    return dict(documents()["Deployment"]["spec"]["template"]["spec"])


def container(name: str) -> dict[str, Any]:
    (found,) = (item for item in pod()["containers"] if item["name"] == name)
    return dict(found)


def options(name: str) -> dict[str, Any]:
    """Values of the options of a container, which its command accepts."""
    program, (command, *given) = container(name)["command"], container(name)["args"]
    assert program == ["python", "container_component_src/main.py"]
    found: click.Command = getattr(import_module(f"container_component_src.cli.{command}"), command)
    return found.make_context(command, list(given)).params


def test_kubernetes_accepts_them() -> None:
    found = documents()
    assert [*found] == ["PersistentVolumeClaim", "Service", "Deployment"]
    assert [schemas.problems(document) for document in found.values()] == [[], [], []]
    assert schemas.pod_problems(pod()) == []


def test_the_console_shows_what_the_stream_writes() -> None:
    stream, console = options("score-stream"), options("console")
    assert console["alarms"] == stream["alarms"] == "/stream/alarms.ndjson"
    assert console["payload_log"] == stream["payload_log"]
    mounts = {mount["name"]: mount for mount in container("console")["volumeMounts"]}
    assert mounts["stream"]["readOnly"]


def test_the_console_is_reached_with_a_token_from_a_secret() -> None:
    assert not is_loopback(options("console")["host"])
    (variable,) = container("console")["env"]
    assert variable["name"] == TOKEN_VARIABLE
    assert "secretKeyRef" in variable["valueFrom"]
    created = FILE.read_text(encoding="utf-8").split("\n\n")[0]
    reference = variable["valueFrom"]["secretKeyRef"]
    assert f"kubectl create secret generic {reference['name']} " in created
    assert f"--from-literal={reference['key']}=" in created


@pytest.mark.parametrize("name", ["score-stream", "console"])
def test_the_containers_are_hardened(name: str) -> None:
    assert pod()["securityContext"]["runAsNonRoot"]
    assert not pod()["automountServiceAccountToken"]
    context = container(name)["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["envFrom"] == [{"secretRef": {"name": PodSettings().s3_secret}}]


def test_service_and_probes_lead_to_the_port_of_the_console() -> None:
    found, console = documents(), container("console")
    (port,) = console["ports"]
    assert port["containerPort"] == options("console")["port"]
    assert [item["targetPort"] for item in found["Service"]["spec"]["ports"]] == [port["name"]]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (found["Service"]["spec"]["selector"], found["Deployment"]["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert console[probe]["httpGet"]["port"] == port["name"]
        assert console[probe]["httpGet"]["path"] in PUBLIC
