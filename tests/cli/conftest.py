"""The emulated cluster for the tests of this folder, and the controller of its services."""

from tests.backends.kubernetes.deployments import kserve  # noqa: F401
from tests.cluster.conftest import cluster, emulator, step  # noqa: F401
