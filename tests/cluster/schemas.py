"""The real schemas of the operators' custom resources, and strict validation against them.

They are not part of the project: `CRDS` names their folder, `../shared/crds` by default, laid out as docs/cluster.md
says. Without them these checks are skipped, except where `CI` is set.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FOLDER = Path(os.environ.get("CRDS", Path(__file__).resolve().parents[3] / "shared" / "crds"))
FILES = {
    "PyTorchJob": "training-operator/kubeflow.org_pytorchjobs.yaml",
    "InferenceService": "kserve/serving.kserve.io_inferenceservices.yaml",
    "DaskCluster": "dask-kubernetes/daskcluster.yaml",
    "DaskWorkerGroup": "dask-kubernetes/daskworkergroup.yaml",
    "DaskAutoscaler": "dask-kubernetes/daskautoscaler.yaml",
}


def available() -> bool:
    """Whether the schemas are there; where `CI` is set, they have to be."""
    if FOLDER.is_dir():
        return True
    if os.environ.get("CI"):
        raise FileNotFoundError(f"{FOLDER}: the schemas of the custom resources are missing; set CRDS")
    return False


needs_schemas = pytest.mark.skipif(not available(), reason="set CRDS to a folder with the operators' schemas")


def problems(manifest: dict[str, Any]) -> list[str]:
    """What the API server would refuse in a manifest, unknown fields included; empty if all is well."""
    validator = jsonschema.Draft202012Validator(schema_of(manifest["kind"], manifest["apiVersion"].split("/")[-1]))
    checked = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(checked)]


@cache
def schema_of(kind: str, version: str) -> dict[str, Any]:
    """JSON schema of a kind's `spec` and `status`, closed against unknown fields."""
    if kind == "Experiment":
        schema = api_type("v1beta1.Experiment")
        return {**schema, "properties": _without_head(schema["properties"])}
    crd = yaml.safe_load((FOLDER / FILES[kind]).read_text())
    (schema,) = [served["schema"] for served in crd["spec"]["versions"] if served["name"] == version]
    schema = schema["openAPIV3Schema"]
    closed: dict[str, Any] = _closed({**schema, "properties": _without_head(schema["properties"])})
    return closed


@cache
def api_type(name: str) -> dict[str, Any]:
    """JSON schema of a type of Katib's or of Kubernetes' own, `io.k8s.api.core.v1.PodSpec` for example, closed."""
    schemas = json.loads((FOLDER / "katib" / "swagger.json").read_text())["components"]["schemas"]
    closed = {known: _closed(schema) for known, schema in schemas.items()}
    return {**closed[name], "components": {"schemas": closed}}


def _without_head(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in ("apiVersion", "kind", "metadata")}


def _closed(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON schema: `nullable` and int-or-string resolved, objects closed against unknown fields."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in ("nullable", "format")
    }
    for key in ("properties",):
        if key in result:
            result[key] = {name: _closed(value) for name, value in result[key].items()}
    for key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
        if key in result:
            result[key] = _closed(result[key])
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if schema.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
    open_object = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in schema and not open_object:
        result["additionalProperties"] = False
    return result
