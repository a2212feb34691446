"""The emulated cluster for the tests of this folder."""

from tests.cluster.conftest import cluster, emulator, step  # noqa: F401
