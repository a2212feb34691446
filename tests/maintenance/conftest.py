"""An emulated cluster for the tests of this folder."""

from tests.cluster.conftest import emulator  # noqa: F401
