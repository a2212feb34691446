"""The emulated cluster for the tests of this folder, and what acts on it."""

import pytest

from container_component_src.cluster import conditions, logs
from tests.backends.kubernetes.deployments import kserve, sigterm  # noqa: F401
from tests.cluster.conftest import cluster, emulator, step  # noqa: F401
from tests.cluster.test_eviction import of_workflow  # noqa: F401


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits look again at once."""
    monkeypatch.setattr(conditions, "POLL_INTERVAL", 0.02)
    monkeypatch.setattr(logs, "RECONNECT_INTERVAL", 0.02)
