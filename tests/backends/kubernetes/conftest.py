"""The emulated cluster for the tests of this folder, and what acts on it."""

from collections.abc import Iterator

import pytest

from tests.backends.kubernetes.deployments import kserve, sigterm  # noqa: F401
from tests.cluster.conftest import cluster, emulator, step  # noqa: F401
from tests.cluster.rights import not_granted


@pytest.fixture(autouse=True)
def least_rights(request: pytest.FixtureRequest) -> Iterator[None]:
    """No step asks for more than deploy/rbac.yaml grants."""
    api = request.getfixturevalue("emulator") if "emulator" in request.fixturenames else None
    yield
    if api is not None:
        assert not_granted(api) == set()
