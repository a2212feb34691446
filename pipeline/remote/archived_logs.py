"""Logs that Argo has written to its store, which outlive their pods: read with the keys of the namespace."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import s3fs
from botocore.exceptions import BotoCoreError

from container_component_src.cluster.access import Cluster
from container_component_src.errors import StepError

_LOG = "main-logs"  # what Argo calls the artifact
_END = 65536  # bytes of a log that are read


@dataclass(frozen=True)
class ArchivedLog:
    """Where the log of a node is.

    Attributes:
        endpoint: Scheme, host and port of the store.
        bucket: In the store.
        key: In the bucket.
        access_key: Name of a Secret and of the key in it that holds the access key.
        secret_key: The same for the secret key.
    """

    endpoint: str
    bucket: str
    key: str
    access_key: tuple[str, str]
    secret_key: tuple[str, str]


def find_archived_log(workflow: Mapping[str, Any], node: Mapping[str, Any]) -> ArchivedLog | None:
    """Read where the log of a node is from the manifest of its Workflow.

    Returns:
        None if Argo has not archived it in a store that is reached with a Secret.
    """
    artifacts = (node.get("outputs") or {}).get("artifacts") or []
    own = next((item.get("s3") for item in artifacts if item.get("name") == _LOG), None)
    if not own:
        return None
    reference = (workflow.get("status") or {}).get("artifactRepositoryRef") or {}
    s3 = {**((reference.get("artifactRepository") or {}).get("s3") or {}), **own}  # what a node leaves out is common
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
    """The end of an archived log; empty if it cannot be had."""
    try:
        store = s3fs.S3FileSystem(
            key=_secret(cluster, log.access_key),
            secret=_secret(cluster, log.secret_key),
            endpoint_url=log.endpoint,
            skip_instance_cache=True,
        )
        text: bytes = store.tail(f"{log.bucket}/{log.key}", _END)
    except (StepError, LookupError, OSError, BotoCoreError):
        return ""
    return text.decode(errors="replace").strip()


def _secret(cluster: Cluster, place: tuple[str, str]) -> str:
    """A value of a Secret.

    Raises:
        StepError: It cannot be read.
        LookupError: It has no such key.
    """
    name, key = place
    found = cluster.request(cluster.core.read_namespaced_secret, "get", f"Secret {name}", name, cluster.namespace)
    return base64.b64decode((found.data or {})[key]).decode()
