"""Kinds, users, faults and logs of the emulated API, and functions on its objects."""

from dataclasses import dataclass
from typing import Any

import aiohttp.web
import kmock

from tests.cluster import schemas

NAMESPACE = "telemetry"
STEPS = "steps"  # a user with the rights that deploy/rbac.yaml grants
ADMINISTRATOR, OPERATOR = "administrator", "operator"  # users with all rights; faults do not affect the operator
RESOURCES = {
    "kubeflow.org/v1beta1/experiments": "Experiment",
    "kubeflow.org/v1beta1/trials": "Trial",
    "kubeflow.org/v1/pytorchjobs": "PyTorchJob",
    "trainer.kubeflow.org/v1alpha1/trainjobs": "TrainJob",
    "trainer.kubeflow.org/v1alpha1/trainingruntimes": "TrainingRuntime",
    "serving.kserve.io/v1beta1/inferenceservices": "InferenceService",
    "kubernetes.dask.org/v1/daskclusters": "DaskCluster",
    "kubernetes.dask.org/v1/daskworkergroups": "DaskWorkerGroup",
    "kubernetes.dask.org/v1/daskautoscalers": "DaskAutoscaler",
    "kubernetes.dask.org/v1/daskjobs": "DaskJob",
    "argoproj.io/v1alpha1/workflows": "Workflow",
    "v1/pods": "Pod",
    "v1/services": "Service",
    "v1/secrets": "Secret",
    "v1/serviceaccounts": "ServiceAccount",
    "v1/events": "Event",
    "v1/configmaps": "ConfigMap",
    "v1/resourcequotas": "ResourceQuota",
    "v1/limitranges": "LimitRange",
    "v1/namespaces": "Namespace",
    "apps/v1/deployments": "Deployment",
    "batch/v1/jobs": "Job",
}
VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.0",
    "gitCommit": "9edcffcde5595e8a5b1a35f88c421764e575afce",
    "gitTreeState": "clean",
    "buildDate": "2024-08-13T07:28:49Z",
    "goVersion": "go1.22.5",
    "compiler": "gc",
    "platform": "linux/amd64",
}
FIXED = {"/api": {"kind": "APIVersions", "versions": ["v1"]}, "/version": VERSION}
VERBS = {"create", "delete", "get", "list", "patch", "update", "watch"}


@dataclass
class Fault:
    """Requests that the API fails a number of times, unless the operator sends them."""

    method: str
    path: str  # regular expression
    status: int = 500  # 0 closes the connection without an answer
    times: int = 1
    seen: int = 0


@dataclass
class Log:
    """Output of a pod's containers; while it is `open`, followers wait for more."""

    text: str = ""
    open: bool = False
    drops: int = 0  # connections that will break


def is_from(request: aiohttp.web.BaseRequest, user: str) -> bool:
    return request.headers.get("Authorization") == f"Bearer token-of-{user}"


def stamped(text: str) -> str:
    """Add Kubernetes timestamps to the lines, one second apart."""
    lines = enumerate(text.splitlines(keepends=True))
    return "".join(f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.5Z {line}" for number, line in lines)


def schema_problems(body: dict[str, Any]) -> list[str]:
    return schemas.problems(body) if body.get("kind") in schemas.KNOWN else []


def selected(item: dict[str, Any], selector: str) -> bool:
    labels = item.get("metadata", {}).get("labels", {})
    for term in filter(None, selector.split(",")):
        name, _, value = term.partition("=")
        if labels.get(name) != value.removeprefix("="):
            return False
    return True


def has_fields(item: dict[str, Any], selector: str) -> bool:
    for term in filter(None, selector.split(",")):
        path, _, value = term.partition("=")
        found: Any = item
        for name in path.split("."):
            found = found.get(name, {})
        if found != value:
            return False
    return True


def resource_of(kind: str) -> Any:
    (path,) = [path for path, known in RESOURCES.items() if known == kind]
    return kmock.resource(path)


def kind_of(resource: Any) -> str:
    path = "/".join(filter(None, (resource.group, resource.version, resource.plural)))
    return RESOURCES.get(path, path)


def plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def merge(old: Any, changes: Any) -> Any:
    """Apply a JSON merge patch."""
    if not (isinstance(old, dict) and isinstance(changes, dict)):
        return changes
    merged = {**old, **{key: merge(old.get(key), value) for key, value in changes.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def status_answer(code: int, message: str) -> aiohttp.web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return aiohttp.web.json_response(body, status=code, headers={"Retry-After": "0"} if code == 429 else {})
