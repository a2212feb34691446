"""The versions of a cluster, from the emulated API and a real HTTP server in the place of Kubeflow Pipelines."""

import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container_component_src.cluster.access import connect
from container_component_src.maintenance.checks import Check
from container_component_src.maintenance.version_checks import COMPONENTS, KUBERNETES, NAMESPACES, check_versions
from tests.cluster.emulated_objects import FIXED
from tests.cluster.emulator import NAMESPACE, Emulator
from tests.maintenance.clusters import CONTROLLERS, controller

pytestmark = pytest.mark.usefixtures("administrator")

IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def versions(**environment: str) -> dict[str, Check]:
    checks = check_versions(connect(NAMESPACE), "v1.34.2", environment, seconds=1.0)
    return {check.name: check for check in checks}


@pytest.fixture
def pipelines() -> Iterator[str]:
    """Address of a server that tells the version of Kubeflow Pipelines."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/apis/v2beta1/healthz"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"tag_name": "2.15.0", "multi_user": True}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_versions_are_the_tags_of_the_controllers(emulator: Emulator) -> None:
    for found in CONTROLLERS:
        emulator.put("Deployment", found)
    checks = versions()
    assert {name: check.detail for name, check in checks.items()} == {
        "version of Kubernetes": "v1.34.2; docs/versions.md has 1.31 to 1.36",
        "version of Kubeflow Pipelines": "2.16.1; docs/versions.md has 2.5 to 2.17",
        "version of Katib": "v0.19.0; docs/versions.md has 0.18 to 0.19",
        "version of training operator": "v1.9.2; docs/versions.md has 1.9",
        "version of Kubeflow Trainer": "v2.2.0; docs/versions.md has 2.1 to 2.3",
        "version of KServe": "v0.16.0; docs/versions.md has 0.15 to 0.20",
        "version of Dask operator": "2026.3.0; docs/versions.md has 2026.3",
    }
    assert all(check.ok for check in checks.values())


@pytest.mark.parametrize(
    ("tag", "detail"),
    [("v0.17.0", "v0.17.0; docs/"), ("v1.0.0", "v1.0.0; docs/"), ("v1beta1-0c5f1a2", "its image has the tag v1beta1-")],
)
def test_another_version_is_a_warning(emulator: Emulator, tag: str, detail: str) -> None:
    emulator.put("Deployment", controller(f"katib-controller:{tag}"))
    check = versions()["version of Katib"]
    assert check.state == "warning"
    assert check.detail.startswith(detail)


def test_what_may_not_be_read_is_named_as_unknown(emulator: Emulator) -> None:
    emulator.put("Deployment", CONTROLLERS[-1])
    emulator.fail("GET", "/namespaces/(kubeflow|kubeflow-system)/deployments$", 403, times=9)
    checks = versions()
    assert set(checks) == {"version of Kubernetes", "version of Dask operator", "other versions"}
    check = checks["other versions"]
    assert check.state == "warning"
    assert check.detail == (
        "Kubeflow Pipelines, Katib, training operator, Kubeflow Trainer, KServe: unknown; not found in kserve, "
        "dask-operator; these credentials may not list the Deployments of kubeflow, kubeflow-system"
    )


KSERVE = ("KServe", "serving.kserve.io/v1beta1", "io.kserve.serving.v1beta1.InferenceService", "0.15 to 0.20")
OPERATOR = ("training operator", "kubeflow.org/v1", "org.kubeflow.v1.PyTorchJob", "1.9")


@pytest.mark.parametrize(
    ("component", "fields", "state", "told"),
    [
        (KSERVE, ("spec", "predictor", "logger", "storage"), "ok", "0.16 or later"),
        (KSERVE, ("spec", "predictor", "logger", "mode"), "ok", "before 0.16"),
        (OPERATOR, ("spec", "runPolicy", "managedBy"), "ok", "1.9 or later"),
        (OPERATOR, ("spec", "runPolicy", "suspend"), "warning", "before 1.9"),
    ],
)
def test_served_fields_tell_about_the_version(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    component: tuple[str, str, str, str],
    fields: tuple[str, ...],
    state: str,
    told: str,
) -> None:
    name, api_version, kind, on_the_page = component
    schema: dict[str, Any] = {"type": "object"}
    for field in reversed(fields):
        schema = {"properties": {field: schema}}
    monkeypatch.setitem(FIXED, f"/openapi/v3/apis/{api_version}", {"components": {"schemas": {kind: schema}}})
    check = versions()[f"version of {name}"]
    assert (check.state, check.detail) == (state, f"{told}, as its fields tell; docs/versions.md has {on_the_page}")


def test_pods_ask_kubeflow_pipelines_itself(emulator: Emulator, pipelines: str) -> None:
    emulator.fail("GET", "/deployments$", 403, times=len(NAMESPACES))
    check = versions(**IN_POD, KF_PIPELINES_ENDPOINT=pipelines)["version of Kubeflow Pipelines"]
    assert (check.state, check.detail.partition(";")[0]) == ("ok", "2.15.0")


def test_a_silent_kubeflow_pipelines_is_unknown(emulator: Emulator, free_port: int) -> None:
    checks = versions(**IN_POD, KF_PIPELINES_ENDPOINT=f"http://127.0.0.1:{free_port}")
    assert checks["other versions"].detail.startswith("Kubeflow Pipelines, Katib, ")


def test_the_page_has_the_compared_versions() -> None:
    """The row of each component in the first table of the page names its oldest and its newest version."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "versions.md").read_text(encoding="utf-8")
    for component in (*COMPONENTS, KUBERNETES):
        row = re.search(rf"^\| {component.name} \|(.*)$", page, re.MULTILINE)
        assert row, component.name
        found = sorted({(int(major), int(minor)) for major, minor in re.findall(r"\b(\d+)\.(\d+)", row[1])})
        assert (found[0], found[-1]) == (component.oldest, component.newest), component.name
