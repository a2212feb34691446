"""Small forests, for the tests of evaluations and of their reports."""

from collections.abc import Iterator

import pytest

from container_component_src.evaluation import baselines


@pytest.fixture(autouse=True, scope="module")
def small_forests() -> Iterator[None]:
    """Grow ten trees: a hundred take most of the time of an evaluation of little data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 10)
        yield
