"""Logs that Argo keeps in its artifact store, where they outlive their pods."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from container_component_src import storage
from container_component_src.cluster.access import Cluster
from container_component_src.errors import PipelineError

_LOG_ARTIFACT = "main-logs"  # Argo's name for the artifact
_TAIL_BYTES = 65536


@dataclass(frozen=True)
class ArchivedLog:
    """Location of a node's log in an S3 store.

    Attributes:
        endpoint: Scheme, host and port of the store.
        bucket: Name of the bucket.
        key: Key of the log in the bucket.
        access_key: Name of the Secret that holds the access key ID, and the key within that Secret.
        secret_key: The same for the secret access key.
    """

    endpoint: str
    bucket: str
    key: str
    access_key: tuple[str, str]
    secret_key: tuple[str, str]


def find_archived_log(workflow: Mapping[str, Any], node: Mapping[str, Any]) -> ArchivedLog | None:
    """Find the archived log of a node in the manifest of its Workflow.

    Returns:
        The location, or None if Argo did not archive the log in a store whose keys are in a Secret.
    """
    artifacts = (node.get("outputs") or {}).get("artifacts") or []
    own = next((item.get("s3") for item in artifacts if item.get("name") == _LOG_ARTIFACT), None)
    if not own:
        return None
    reference = (workflow.get("status") or {}).get("artifactRepositoryRef") or {}
    s3 = {
        **((reference.get("artifactRepository") or {}).get("s3") or {}),
        **own,
    }  # the repository has what the node leaves out
    try:
        return ArchivedLog(
            f"{'http' if s3.get('insecure') else 'https'}://{s3['endpoint']}",
            s3["bucket"],
            s3["key"],
            (s3["accessKeySecret"]["name"], s3["accessKeySecret"]["key"]),
            (s3["secretKeySecret"]["name"], s3["secretKeySecret"]["key"]),
        )
    except LookupError:
        return None


def read_archived_log(cluster: Cluster, log: ArchivedLog) -> str:
    """Return the end of an archived log, or an empty text if it cannot be read."""
    try:
        settings = {
            "S3_ENDPOINT": log.endpoint,
            "AWS_ACCESS_KEY_ID": _read_secret(cluster, log.access_key),
            "AWS_SECRET_ACCESS_KEY": _read_secret(cluster, log.secret_key),
        }
        with storage.patience(storage.QUICK_SECONDS):
            file = storage.resolve(f"s3://{log.bucket}/{log.key}", environment=settings)
        text: bytes = file.fs.tail(file.path, _TAIL_BYTES)
    except (PipelineError, LookupError, OSError):
        return ""
    return text.decode(errors="replace").strip()


def _read_secret(cluster: Cluster, reference: tuple[str, str]) -> str:
    """Return one value of a Secret.

    Raises:
        StepError: The Secret cannot be read.
        LookupError: The Secret has no such key.
    """
    name, key = reference
    found = cluster.request(cluster.core.read_namespaced_secret, "get", f"Secret {name}", name, cluster.namespace)
    return base64.b64decode((found.data or {})[key]).decode()
