"""Strict validation of manifests: like the API server, it refuses unknown fields and wrong types.

The schemas come from the models in the operators' Python packages and, for Dask, from the CRDs in its package. The CRDs
of the other operators are not part of the project; they are used too if the folder `CRDS` (by default `../shared/crds`)
contains them. docs/cluster.md says where to get them.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from kubeflow import katib, training
from kubeflow_trainer_api.models import TrainerV1alpha1TrainingRuntime, TrainerV1alpha1TrainJob
from kubernetes import client

from container_component_src.backends.kubernetes.serving_manifest import load_kserve

FOLDER = Path(os.environ.get("CRDS", Path(__file__).resolve().parents[3] / "shared" / "crds"))
DASK_FOLDER = "operator/deployment/helm/dask-kubernetes-operator/crds"
FILES = {
    "PyTorchJob": "training-operator/kubeflow.org_pytorchjobs.yaml",
    "InferenceService": "kserve/serving.kserve.io_inferenceservices.yaml",
    "TrainJob": "trainer/trainer.kubeflow.org_trainjobs.yaml",
    "TrainingRuntime": "trainer/trainer.kubeflow.org_trainingruntimes.yaml",
}
MODELS = {
    "PyTorchJob": (training.models, "KubeflowOrgV1PyTorchJob"),
    "Experiment": (katib.models, "V1beta1Experiment"),
    "Job": (client, "V1Job"),
    "CronJob": (client, "V1CronJob"),
    **{kind: (client, f"V1{kind}") for kind in ("Deployment", "PersistentVolumeClaim", "Service")},
    "Pod": (client, "V1Pod"),
    "InferenceService": (load_kserve(), "V1beta1InferenceService"),
}
PYDANTIC = {"TrainJob": TrainerV1alpha1TrainJob, "TrainingRuntime": TrainerV1alpha1TrainingRuntime}
DASK = ("DaskCluster", "DaskWorkerGroup", "DaskAutoscaler")
KNOWN = (*MODELS, *PYDANTIC, *DASK)
_PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "datetime": "string"}
Schema = dict[str, Any]


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return what the API server would refuse in a manifest; empty if it is valid."""
    checked = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    version = manifest["apiVersion"].split("/")[-1]
    found = [problem for schema in _schemas(manifest["kind"], version) for problem in _problems(schema, checked)]
    if model := PYDANTIC.get(manifest["kind"]):
        known = model.from_dict(manifest).to_dict()
        found += [f"{name}: has a field that the model lacks" for name in checked if known.get(name) != checked[name]]
    return found


def pod_problems(pod_spec: dict[str, Any]) -> list[str]:
    """Return what the API server would refuse in the `spec` of a pod."""
    found = _problems(_model_schema("Pod"), {"spec": pod_spec})
    if _swagger().is_file():
        found += _problems(_swagger_type("io.k8s.api.core.v1.PodSpec"), pod_spec)
    return found


def _problems(schema: Schema, checked: dict[str, Any]) -> list[str]:
    found = jsonschema.Draft202012Validator(schema).iter_errors(checked)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def _schemas(kind: str, version: str) -> Iterator[Schema]:
    if kind in DASK:
        package = resources.files("dask_kubernetes").joinpath(DASK_FOLDER, f"{kind.lower()}.yaml")
        yield _crd_schema(package.read_text(), version)
        return
    if kind in MODELS:
        yield _model_schema(kind)
    if "CRDS" in os.environ and not FOLDER.is_dir():
        raise FileNotFoundError(f"CRDS: there is no folder {FOLDER}")
    if kind in FILES and (FOLDER / FILES[kind]).is_file():
        yield _crd_schema((FOLDER / FILES[kind]).read_text(), version)
    if kind == "Experiment" and _swagger().is_file():
        yield _without_head(_swagger_type("v1beta1.Experiment"))


@cache
def _model_schema(kind: str) -> Schema:
    """Return a JSON schema with the fields of an SDK's model and the models in it."""
    module, name = MODELS[kind]
    definitions: dict[str, Schema] = {}

    def refer(field_type: str) -> Schema:
        if match := re.fullmatch(r"(list|dict)[\[(](?:str, )?(.+)[\])]", field_type):
            inner = refer(match[2])
            return (
                {"type": "array", "items": inner}
                if match[1] == "list"
                else {"type": "object", "additionalProperties": inner}
            )
        if field_type in _PLAIN:
            return {"type": _PLAIN[field_type]}
        model = getattr(module, field_type, None) or getattr(client, field_type, None)
        if model is None:  # `object`, and types that the SDK does not define
            return {}
        if field_type not in definitions:
            definitions[field_type] = {}  # for models that contain themselves
            fields = {model.attribute_map[field]: refer(kind) for field, kind in model.openapi_types.items()}
            definitions[field_type] = {"type": "object", "properties": fields, "additionalProperties": False}
        return {"$ref": f"#/$defs/{field_type}"}

    return {**refer(name), "$defs": definitions}


@cache
def _crd_schema(text: str, version: str) -> Schema:
    crd = yaml.safe_load(text)
    (schema,) = [served["schema"] for served in crd["spec"]["versions"] if served["name"] == version]
    closed: Schema = _closed(_without_head(schema["openAPIV3Schema"]))
    return closed


def _swagger() -> Path:
    return FOLDER / "katib" / "swagger.json"


@cache
def _swagger_type(name: str) -> Schema:
    """Return the schema of a type of Katib or Kubernetes."""
    schemas = json.loads(_swagger().read_text())["components"]["schemas"]
    closed = {known: _closed(schema) for known, schema in schemas.items()}
    return {**closed[name], "components": {"schemas": closed}}


def _without_head(schema: Schema) -> Schema:
    rest = {
        name: value for name, value in schema["properties"].items() if name not in ("apiVersion", "kind", "metadata")
    }
    return {**schema, "properties": rest}


def _closed(schema: Any) -> Any:
    """Convert OpenAPI 3.0 to a JSON schema that resolves `nullable` and int-or-string and forbids unknown fields."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in ("nullable", "format")
    }
    if "properties" in result:
        result["properties"] = {name: _closed(value) for name, value in result["properties"].items()}
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
