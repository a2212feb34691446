"""Fixtures of a cluster that is none: an emulated API, and access to it with the real clients."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_component_src.cluster.access import Cluster, connect
from container_component_src.cluster.step import Step
from tests.cluster.emulator import NAMESPACE, Emulator, running

# `make test-cluster` runs these, on a cluster that it names; `make test` has none.
collect_ignore = [] if os.environ.get("TEST_CLUSTER") else ["live"]


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An empty cluster; KUBECONFIG leads there."""
    with running() as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))
        yield api


@pytest.fixture
def cluster(emulator: Emulator) -> Cluster:
    """Access to the emulated cluster, patient for a few seconds."""
    return connect(NAMESPACE, patience=3.0)


@pytest.fixture
def step() -> Step:
    """A step of a run, in a pod."""
    return Step("5a0c0b5e-0000-4000-8000-000000000001", "step-pod", "00000000-0000-4000-8000-0000000000aa")
