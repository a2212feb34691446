"""The emulated cluster for the tests of this folder, and what acts on it."""

from tests.backends.kubernetes.deployments import kserve, sigterm  # noqa: F401
from tests.cluster.conftest import cluster, emulator, step  # noqa: F401
from tests.cluster.test_eviction import of_workflow  # noqa: F401
