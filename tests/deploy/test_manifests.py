"""Tests that the manifests for administrators contain what the code needs, and no more."""

from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from container_component_src.cluster.rights import RIGHTS
from container_component_src.steps.serving import REGISTRY_CA, REGISTRY_TOKEN
from container_component_src.steps.shared import PodSettings
from container_component_src.storage import S3_ENVIRONMENT
from tests.cluster.rights import granted

FOLDER = Path(__file__).resolve().parents[2] / "deploy"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def test_role_grants_exactly_the_rights_that_doctor_checks() -> None:
    role, binding = documents("rbac.yaml")
    assert granted() == {(right.group, right.resource, verb) for right in RIGHTS for verb in right.verbs}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_secret_has_the_keys_that_pods_use() -> None:
    secret, account = documents("secret.example.yaml")
    assert set(secret["stringData"]) == {*S3_ENVIRONMENT, REGISTRY_TOKEN, REGISTRY_CA}
    assert secret["metadata"]["name"] == PodSettings().s3_secret
    assert account["secrets"] == [{"name": secret["metadata"]["name"]}]
    assert set(secret) - {"apiVersion", "kind"} <= set(client.V1Secret.attribute_map.values())
    assert all(isinstance(value, str) for value in secret["stringData"].values())
