"""Distances equal those of other implementations on the same samples."""

import gc
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from feature_engine.selection import DropHighPSIFeatures
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from container_component_src.arrays import Float64Array, IntArray
from container_component_src.drift.measures import decile_shares, holm, ks, ks_p_value, psi, start_of_change
from container_component_src.telemetry.distribution import Distribution

SHIFTS = [(0.0, 1.0), (0.3, 1.0), (-2.0, 1.0), (0.0, 3.0), (9.0, 1.0)]


def samples(shift: float, scale: float, decimals: int = 9) -> tuple[Float64Array, Float64Array]:
    generator = np.random.default_rng(4)
    before, after = generator.standard_normal(2_000), shift + scale * generator.standard_normal(2_000)
    return before.round(decimals), after.round(decimals)


def snapped(values: Float64Array, to: Float64Array) -> Float64Array:
    """Values that occur in a sample, so that it does not matter where between two of them an edge lies."""
    known = np.sort(to)
    return known[np.minimum(np.searchsorted(known, values), len(known) - 1)]


def reference(values: Float64Array) -> Distribution:
    return Distribution.of(np.arange(len(values)), values)


def counted(known: Distribution, values: Float64Array) -> IntArray:
    return np.bincount(np.searchsorted(known.edges, values), minlength=len(known.edges) + 1)


@pytest.mark.parametrize(("shift", "scale"), SHIFTS)
def test_psi_is_that_of_feature_engine(shift: float, scale: float) -> None:
    before, after = samples(shift, scale)
    after = snapped(after, before)
    table = pd.DataFrame({"x": np.concatenate([before, after]), "y": 0.0, "part": [1] * 2_000 + [2] * 2_000})
    selector = DropHighPSIFeatures(split_col="part", cut_off=1, bins=10, strategy="equal_frequency", variables=["x"])
    selector.fit(table)
    known = reference(before)
    expected, observed = decile_shares(known, counted(known, after))
    assert psi(expected, observed) == pytest.approx(selector.psi_values_["x"], rel=1e-9, abs=1e-12)


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    known = reference(np.array([0.0] * 55 + [1.0] * 45))
    expected, observed = decile_shares(known, np.array([0, 30, 70, 0]))
    assert expected == pytest.approx([0.55, 0.45])
    assert observed == pytest.approx([0.3, 0.7])


def test_values_outside_the_range_are_in_the_outer_bins() -> None:
    known = reference(np.arange(100.0))
    counts = np.zeros(len(known.edges) + 1, dtype=np.int64)
    counts[[0, -1]] = 3, 1
    _, observed = decile_shares(known, counts)
    assert observed == pytest.approx([0.75, *[0] * 8, 0.25])


@pytest.mark.parametrize(("shift", "scale"), SHIFTS)
@pytest.mark.parametrize("decimals", [9, 0])
def test_ks_is_that_of_scipy_in_the_same_bins(shift: float, scale: float, decimals: int) -> None:
    before, after = samples(shift, scale, decimals)
    known = reference(before)
    bins = [np.searchsorted(known.edges, values) for values in (before, after)]
    expected = stats.ks_2samp(*bins).statistic
    assert ks(known, counted(known, after)) == pytest.approx(expected)


@pytest.mark.parametrize("distance", [0.01, 0.05, 0.1, 0.3])
def test_the_p_value_is_that_of_scipy_for_large_samples(distance: float) -> None:
    rows = 6_250 / distance
    expected = stats.kstwo.sf(0.08 * distance, round(rows))  # exact, and slow for more rows
    assert ks_p_value(0.08 * distance, rows) == pytest.approx(expected, rel=0.02)


@pytest.fixture(scope="module")
def no_search_for_garbage() -> Iterator[None]:
    """Keep statsmodels from searching the whole process for garbage at each call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)
        yield


@pytest.mark.usefixtures("no_search_for_garbage")
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    found = holm({str(number): value for number, value in enumerate(p_values)})
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert [found[str(number)] for number in range(len(p_values))] == pytest.approx(list(expected))


@pytest.mark.parametrize("start", [0, 1, 5, 9])
def test_a_change_starts_where_the_distribution_is_another(start: int) -> None:
    expected = np.array([0.0, 0.25, 0.25, 0.25, 0.25, 0.0])
    before, after = [0, 5, 5, 5, 5, 0], [0, 1, 1, 8, 10, 0]
    assert start_of_change(expected, np.array([before] * start + [after] * (10 - start))) == start
