"""Warning events as Kubernetes controllers write them."""

from typing import Any

from tests.cluster.emulator import NAMESPACE


def event_of(kind: str, name: str, reason: str, message: str, seen: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    """Return a Warning event about an object."""
    return {
        "apiVersion": "v1",
        "metadata": {"name": f"{name}.{reason.lower()}"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": name, "namespace": NAMESPACE},
        "lastTimestamp": seen,
    }
