"""Fixtures of an emulated cluster, accessed with the real clients."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.cluster.access import Cluster, connect
from container_component_src.cluster.step import Step
from tests.cluster.emulator import NAMESPACE, Emulator, running

# Only `make test-cluster` runs the live tests, because they need a cluster.
collect_ignore = [] if os.environ.get("TEST_CLUSTER") else ["live"]


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An empty cluster; KUBECONFIG points to it."""
    with running() as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))
        yield api


@pytest.fixture
def cluster(emulator: Emulator) -> Cluster:
    """Access to the emulated cluster that retries for a few seconds."""
    return connect(NAMESPACE, patience=3.0)


@pytest.fixture
def step() -> Step:
    """A step of a run in a pod."""
    return Step("5a0c0b5e-0000-4000-8000-000000000001", "step-pod", "00000000-0000-4000-8000-0000000000aa")
