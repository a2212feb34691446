"""Whole manifests to compare with, and the context in which tests start jobs."""

from pathlib import Path
from typing import Any

import yaml

from container_component_src.backends.kubernetes.context import JobContext
from container_component_src.cluster.access import Cluster
from container_component_src.cluster.step import Step
from container_component_src.steps.shared import PodSettings

FOLDER = Path(__file__).resolve().parents[2] / "golden"
PODS = PodSettings(namespace="telemetry", image="registry.example.org/eclss:1.0")
STEP = Step("5a0c0b5e-0000-4000-8000-000000000001", "step-pod", "00000000-0000-4000-8000-0000000000aa")


def golden(name: str) -> Any:
    """A manifest of tests/golden."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def context(cluster: Cluster, step: Step, pods: PodSettings = PODS) -> JobContext:
    """The context of a step whose cluster is an emulated one."""
    made = JobContext(pods)
    made.cluster, made.step = cluster, step
    return made
