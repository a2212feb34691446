"""Seeded random numbers by key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.hashing import uniform

KEYS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("key", "output"),
    [(0, 0xE220A8397B1DCDAF), (-0x61C8864680B583EB, 0x6E789E6AA1B965F4), (0x3C6EF372FE94F82A, 0x06C45D188009454F)],
)
def test_published_values_of_splitmix64(key: int, output: int) -> None:
    """First outputs of SplitMix64 with seed 0; the key is its state, a multiple of the golden gamma."""
    assert uniform(np.array([key]), seed=0)[0] == (output >> 11) / 2**53


@given(keys=KEYS, seed=st.integers(0, 2**31))
def test_depends_on_the_key_alone(keys: list[int], seed: int) -> None:
    drawn = uniform(np.array(keys, dtype=np.int64), seed)
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert drawn.tolist() == [uniform(np.array([key], dtype=np.int64), seed)[0] for key in keys]


@pytest.mark.parametrize("step", [1, 1_000_000_000, 60_000_000_000])
def test_numbers_are_uniform_and_independent_of_other_seeds(step: int) -> None:
    keys = np.arange(20_000, dtype=np.int64) * step
    draws = [uniform(keys, seed) for seed in range(4)]
    for drawn in draws:
        shares = np.histogram(drawn, bins=10, range=(0, 1))[0] / len(keys)
        np.testing.assert_allclose(shares, 0.1, atol=0.012)  # more than five standard deviations
        assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.04
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.04
