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
