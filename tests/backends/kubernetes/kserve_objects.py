"""Objects that KServe and Kubernetes create or check for the fake KServe."""

from typing import Any

from kubernetes.utils.quantity import parse_quantity

Manifest = dict[str, Any]
MODE = "serving.kserve.io/deploymentMode"
CPU_LIMIT = "1"  # default limit of a container


def admit(old: Manifest | None, new: Manifest) -> str:
    """Act as the webhooks: the mode may not change, not even its name, and CPU limits have a default."""
    mode = (old or {}).get("status", {}).get("deploymentMode", "")
    asked = new["metadata"].get("annotations", {}).get(MODE, "")
    if mode and asked and mode != asked:
        return f"update rejected: deploymentMode cannot be changed from '{mode}' to '{asked}'"
    for component in new["spec"].values():
        for container in component["containers"]:
            container.setdefault("resources", {}).setdefault("limits", {}).setdefault("cpu", CPU_LIMIT)
    return ""


def refused(component: Manifest) -> str:
    """Return why Kubernetes refuses the Deployment of a component."""
    for container in component["containers"]:
        resources = container.get("resources", {})
        asked, limit = (resources.get(kind, {}).get("cpu", CPU_LIMIT) for kind in ("requests", "limits"))
        if parse_quantity(asked) > parse_quantity(limit):
            return (
                "spec.template.spec.containers[0].resources.requests: "
                f'Invalid value: "{asked}": must be less than or equal to cpu limit of {limit}'
            )
    return ""


def template_of(service: Manifest, component: str) -> Manifest:
    """Return the pod template of a component; its annotations and labels override those of the service."""
    metadata, spec = service["metadata"], service["spec"][component]
    kept = {key: value for key, value in spec.items() if key not in ("minReplicas", "maxReplicas")}
    return {
        **kept,
        "annotations": {**metadata.get("annotations", {}), **spec.get("annotations", {})},
        "labels": {**metadata.get("labels", {}), **spec.get("labels", {})},
    }


def pod_of(service: str, component: str, name: str, spec: Manifest, failing: Manifest | None) -> Manifest:
    """Return a pod as the Deployment of a component creates it."""
    container = {"name": "kserve-container", "image": "image", "imageID": "", "restartCount": 0, "ready": True}
    if failing is None or "state" not in failing:
        container["state"] = {"running": {}}
    return {
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": {"serving.kserve.io/inferenceservice": service, "component": component, **spec.get("labels", {})},
            "annotations": spec.get("annotations", {}),
        },
        "spec": {"containers": spec["containers"]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if failing is None else "False"}],
            "containerStatuses": [{**container, **(failing or {})}],
        },
    }
