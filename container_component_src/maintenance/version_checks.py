"""The versions that a cluster runs, beside those for which docs/versions.md says what was tried."""

import json
import os
import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kubernetes import client

from container_component_src.cluster.access import Cluster
from container_component_src.cluster.kinds import INFERENCE_SERVICE, PYTORCH_JOB, TRAIN_JOB, Kind
from container_component_src.errors import StepError
from container_component_src.maintenance.checks import Check

PAGE = "docs/versions.md"
NAMESPACES = ("kubeflow", "kubeflow-system", "kserve", "dask-operator")  # where controllers usually run
PIPELINES_API = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
_HEALTH = "/apis/v2beta1/healthz"
_SECONDS = 3.0
_FIX = f"see {PAGE} for what was tried, and run `make test-cluster` before you rely on it"
Version = tuple[int, int]


@dataclass(frozen=True)
class Component:
    """A part of a cluster, with the oldest and the newest version on the page.

    Attributes:
        name: Its name on the page.
        image: Last part of the name of its controller's image.
        oldest: Major and minor version.
        newest: Major and minor version.
        clue: Field of a kind, and the version that has it first.
    """

    name: str
    image: str
    oldest: Version
    newest: Version
    clue: tuple[Kind, tuple[str, ...], Version] | None = None

    @property
    def supported(self) -> str:
        """The versions in words."""
        oldest, newest = _text(self.oldest), _text(self.newest)
        return oldest if oldest == newest else f"{oldest} to {newest}"


KUBERNETES = Component("Kubernetes", "", (1, 31), (1, 36))
PIPELINES = Component("Kubeflow Pipelines", "kfp-api-server", (2, 5), (2, 17))
_OPERATOR_CLUE = (PYTORCH_JOB, ("spec", "runPolicy", "managedBy"), (1, 9))
_TRAINER_CLUE = (TRAIN_JOB, ("spec", "runtimePatches"), (2, 2))
_KSERVE_CLUE = (INFERENCE_SERVICE, ("spec", "predictor", "logger", "storage"), (0, 16))
COMPONENTS = (
    PIPELINES,
    Component("Katib", "katib-controller", (0, 18), (0, 19)),
    Component("training operator", "training-operator", (1, 9), (1, 9), _OPERATOR_CLUE),
    Component("Kubeflow Trainer", "trainer-controller-manager", (2, 1), (2, 3), _TRAINER_CLUE),
    Component("KServe", "kserve-controller", (0, 15), (0, 20), _KSERVE_CLUE),
    Component("Dask operator", "dask-kubernetes-operator", (2026, 3), (2026, 3)),
)


def check_versions(
    cluster: Cluster, kubernetes: str, environment: Mapping[str, str] = os.environ, seconds: float = _SECONDS
) -> list[Check]:
    """Compare the cluster's versions with those on the page. Nothing here is an error; what is unknown is said.

    The version of a controller is the tag of its image, which only accounts may read that can list the Deployments of
    its namespace. Kubeflow Pipelines also tells its version itself, to every pod of the cluster. The fields that
    the training operator, Trainer and KServe serve tell about theirs.

    Args:
        cluster: Access to the cluster.
        kubernetes: Version of the API server, such as `v1.34.2`.
        environment: Environment of this process, which tells whether it runs in a pod.
        seconds: How long to wait for Kubeflow Pipelines.
    """
    tags, unreadable = _tags(cluster)
    if PIPELINES.image not in tags and "KUBERNETES_SERVICE_HOST" in environment:
        address = environment.get("KF_PIPELINES_ENDPOINT") or PIPELINES_API
        if version := _pipelines_version(address, seconds):
            tags[PIPELINES.image] = version
    checks, unknown = [_compared(KUBERNETES, kubernetes)], []
    for component in COMPONENTS:
        if tag := tags.get(component.image):
            checks.append(_compared(component, tag))
        elif told := _told_by_fields(cluster, component):
            checks.append(told)
        else:
            unknown.append(component.name)
    return [*checks, *([_unknown(unknown, unreadable)] if unknown else [])]


def _told_by_fields(cluster: Cluster, component: Component) -> Check | None:
    """Return what a field of the served kind says about the version, which every account may read; None if unknown."""
    if component.clue is None:
        return None
    kind, fields, version = component.clue
    path, call = f"/openapi/v3/apis/{kind.api_version}", cluster.api_client.call_api
    settings = {"response_type": "object", "auth_settings": ["BearerToken"], "_return_http_data_only": True}
    try:
        served = cluster.request(partial(call, **settings), "read", f"the fields of {kind.name}", path, "GET")
    except StepError:
        return None
    schemas = served.get("components", {}).get("schemas", {})
    schema = next((schema for name, schema in schemas.items() if name.endswith(f".{kind.name}")), None)
    if schema is None:
        return None
    for field in fields:
        schema = schema.get("properties", {}).get(field, {})
    told = f"{_text(version)} or later" if schema else f"before {_text(version)}"
    detail = f"{told}, as its fields tell; {PAGE} has {component.supported}"
    fits = bool(schema) or component.oldest < version
    return Check(f"version of {component.name}", fits, detail, _FIX, required=False)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _unknown(names: list[str], unreadable: list[str]) -> Check:
    """Return what is not known, and why: it is not installed, runs elsewhere, or may not be read."""
    looked = [namespace for namespace in NAMESPACES if namespace not in unreadable]
    reasons = [f"not found in {', '.join(looked)}"] if looked else []
    reasons += [f"these credentials may not list the Deployments of {', '.join(unreadable)}"] if unreadable else []
    fix = f"run doctor as an administrator, or ask one, and compare with {PAGE}"
    return Check("other versions", False, f"{', '.join(names)}: unknown; {'; '.join(reasons)}", fix, required=False)


def _tags(cluster: Cluster) -> tuple[dict[str, str], list[str]]:
    """Return the tags of the controllers' images by their last names, and the namespaces that cannot be read."""
    tags: dict[str, str] = {}
    unreadable = []
    call = client.AppsV1Api(cluster.api_client).list_namespaced_deployment
    for namespace in NAMESPACES:
        try:
            listed = cluster.request(call, "list", f"Deployments of {namespace}", namespace)
        except StepError:
            unreadable.append(namespace)
            continue
        for deployment in listed.items:
            tags |= dict(_images(deployment.spec.template.spec.containers))
    return tags, unreadable


def _images(containers: list[Any]) -> Iterator[tuple[str, str]]:
    for container in containers:
        name, _, tag = container.image.rpartition("/")[2].partition("@")[0].partition(":")
        yield name, tag


def _pipelines_version(address: str, seconds: float) -> str:
    """Return the version that Kubeflow Pipelines tells; empty if it does not answer."""
    if not address.startswith(("http://", "https://")):
        return ""
    try:
        with urllib.request.urlopen(address.rstrip("/") + _HEALTH, timeout=seconds) as answer:  # noqa: S310 - see above
            told = json.load(answer)
    except (OSError, ValueError):
        return ""
    return str(told.get("tag_name") or "") if isinstance(told, dict) else ""


def _compared(component: Component, version: str) -> Check:
    """Return whether a version is one of those on the page."""
    name, expected = f"version of {component.name}", f"{PAGE} has {component.supported}"
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None:
        fix = "ask whoever runs the cluster which release this is"
        return Check(name, False, f"its image has the tag {version}; {expected}", fix, required=False)
    fits = component.oldest <= (int(numbers[1]), int(numbers[2])) <= component.newest
    return Check(name, fits, f"{version}; {expected}", _FIX, required=False)
