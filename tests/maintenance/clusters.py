"""Command and objects of the tests of `doctor --backend kubernetes`."""

import base64
from typing import Any

from tests.cluster.emulator import NAMESPACE

SECRET = "very-s3cret"
ACCOUNT = "steps"
ROOTS = ("--data-root", "s3://doctor/runs", "--reports-path", "s3://doctor/reports.csv")
COMMAND = ("doctor", "--backend", "kubernetes", "--namespace", NAMESPACE, *ROOTS)
LAUNCHER = {"defaultPipelineRoot": "minio://mlpipeline/private-artifacts/ns/v2/artifacts"}


def secret(store: str, **changes: str | None) -> dict[str, Any]:
    values = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "S3_ENDPOINT": store, **changes}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items() if value is not None}
    return {"apiVersion": "v1", "metadata": {"name": "s3creds"}, "data": data}


def namespace(**labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "metadata": {"name": NAMESPACE, "labels": labels}}


def controller(image: str, namespace: str = "kubeflow") -> dict[str, Any]:
    """The Deployment of a controller."""
    name = image.rpartition("/")[2].partition(":")[0]
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "manager", "image": image}]}}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "apps/v1",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


CONTROLLERS = [
    controller("ghcr.io/kubeflow/kfp-api-server:2.16.1"),
    controller("ghcr.io/kubeflow/katib/katib-controller:v0.19.0"),
    controller("ghcr.io/kubeflow/training-v1/training-operator:v1.9.2"),
    controller("ghcr.io/kubeflow/trainer/trainer-controller-manager:v2.2.0", "kubeflow-system"),
    controller("mirror.example.org:5000/kserve/kserve-controller:v0.16.0@sha256:" + 64 * "0"),
    controller("ghcr.io/dask/dask-kubernetes-operator:2026.3.0", "dask-operator"),
]
