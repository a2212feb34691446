"""Whole manifests to compare with, and the context in which tests start jobs."""

from pathlib import Path
from typing import Any

import yaml

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.steps.placement import Toleration
from container_component_src.steps.shared import PodSettings

FOLDER = Path(__file__).resolve().parents[2] / "golden"
PODS = PodSettings(namespace="telemetry", image="registry.example.org/eclss:1.0")
# What a site may ask of all pods, and of those that train.
SITE: dict[str, Any] = {
    "image_pull_secret": "registry-login",
    "pod_labels": {"example.org/team": "eclss"},
    "pod_annotations": {"example.org/note": "any text"},
}
PLACED: dict[str, Any] = {
    **SITE,
    "node_selector": {"pool": "gpu"},
    "tolerations": (
        Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),
        Toleration(key="spot", value="yes", effect="NoExecute", toleration_seconds=60),
    ),
}
STEP = Step("5a0c0b5e-0000-4000-8000-000000000001", "step-pod", "00000000-0000-4000-8000-0000000000aa")


def golden(name: str) -> Any:
    """A manifest of tests/golden."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def context(cluster: Cluster, step: Step, pods: PodSettings = PODS) -> JobContext:
    """The context of a step whose cluster is an emulated one."""
    made = JobContext(pods)
    made.cluster, made.step = cluster, step
    return made
