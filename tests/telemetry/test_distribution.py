"""Cumulative distributions, and how many independent values vary as much as a part of a series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from container_component_src.arrays import Float64Array
from container_component_src.telemetry.distribution import LEAST_PARTS, LEVELS, Distribution, pair_up

MINUTE = 60 * 10**9
DAY = 1_440 * MINUTE


def distribution(values: Float64Array, step: int = MINUTE) -> Distribution:
    return Distribution.of(np.arange(len(values)) * step, values)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60))
def test_shares_are_those_of_the_values_below_the_edges(values: list[float]) -> None:
    given_values = np.array(values)
    found = distribution(given_values)
    assert found.shares == pytest.approx([(given_values < edge).mean() for edge in found.edges])
    assert (found.shares[0], found.shares[-1]) == (0, 1)
    assert not set(found.edges) & set(values)


def test_an_edge_has_each_level_below_it() -> None:
    found = distribution(np.arange(2_000.0))
    assert found.shares[1:-1] == pytest.approx(LEVELS)
    assert found.edges[1:-1] == pytest.approx([2_000 * level - 0.5 for level in LEVELS])


def test_the_edges_of_a_switch_are_between_its_positions() -> None:
    found = distribution(np.array([0.0] * 30 + [1.0] * 70))
    assert found.edges[1:-1] == (0.5,)
    assert found.shares == (0, 0.3, 1)


def test_a_constant_has_no_inner_edge() -> None:
    found = distribution(np.full(100, 7.0))
    assert found.edges == pytest.approx((7, 7), abs=1e-4)
    assert found.edges[0] < 7 < found.edges[1]


@pytest.mark.parametrize("copies", [1, 25])
def test_copies_of_a_value_are_not_independent(copies: int) -> None:
    values = np.repeat(np.random.default_rng(1).standard_normal(20_000 // copies), copies)
    found = distribution(values)
    for days in (0.5, 1.0):
        assert found.independent_rows(days) == pytest.approx(days * 1_440 / copies, rel=0.6)


def test_a_slow_series_varies_as_few_values() -> None:
    slow = np.cumsum(np.random.default_rng(2).standard_normal(20_000))
    rows = distribution(slow).independent_rows(1.0)
    assert rows is not None
    assert rows < 5


def known(rows: tuple[float, ...]) -> Distribution:
    """A distribution of 64 days, with these rows of parts of 1, 2, 4, ... days."""
    lengths = tuple(2.0**number for number in range(len(rows)))
    return Distribution(
        edges=(0, 1), shares=(0, 1), days=64, part_days=lengths, part_rows=rows, part_outside=(0.0,) * len(rows)
    )


@pytest.mark.parametrize(
    ("part_rows", "days", "rows", "own"),
    [
        ((10, 20, 40), 0.5, 5, 640),  # independent parts
        ((10, 20, 40), 2**0.5, 10 * 2**0.5, 640),
        ((10, 20, 40), 12, 120, 640),
        ((10, 20, 80), 8, 160, 80 * 16),  # at most in proportion
        ((10, 20, 20, 20, 40), 32, 40 * 2 ** (1 / 3), 40 * 4 ** (1 / 3)),  # over the last three doublings
        ((3, 3, 3), 40, 3, 3),  # a level that changes more slowly than all parts
        ((30, 10), 8, 10, 10),
        ((7,), 0.1, 0.7, 7),
        ((7,), 9, 7, 7),
    ],
)
def test_rows_grow_with_the_length_as_they_do_between_the_longest_parts(
    part_rows: tuple[float, ...], days: float, rows: float, own: float
) -> None:
    assert known(part_rows).independent_rows(days) == pytest.approx(1 / (1 / rows + 1 / own))


def test_the_share_outside_is_that_of_the_part_which_departs_most() -> None:
    values = np.random.default_rng(5).uniform(size=32 * 16)
    values[40:50] = 3.0  # of the second part of 32 rows, the first of 64
    values[70:72] = -1.0
    found = distribution(values)
    assert found.part_outside == (10 / 32, 10 / 64)
    lengths = [32 / 1_440, 64 / 1_440]
    assert [found.usual_outside(days) for days in (0.001, *lengths, 0.06, 9)] == [
        10 / 32, 10 / 32, 10 / 64, 10 / 64, 10 / 64
    ]  # fmt: skip
    assert distribution(values[:100]).usual_outside(1.0) == 0


@pytest.mark.parametrize("rows", [1, 2, 32 * (LEAST_PARTS - 1)])
def test_nothing_is_known_of_the_parts_of_a_short_series(rows: int) -> None:
    found = distribution(np.arange(float(rows)))
    assert (found.part_days, found.independent_rows(1.0)) == ((), None)


def test_parts_with_gaps_do_not_count() -> None:
    whole = np.random.default_rng(3).standard_normal(20_000)
    times = np.arange(20_000) * MINUTE
    some = np.ones(20_000, dtype=np.bool_)
    some[5_000:5_990] = False  # leaves parts of a few rows, which would be far from the distribution
    plain, gap = Distribution.of(times, whole), Distribution.of(times[some], whole[some])
    assert gap.part_rows[0] == pytest.approx(plain.part_rows[0], rel=0.3)


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 9)), max_size=20, unique_by=lambda item: item[0]))
def test_pairs_of_parts_keep_their_sums(parts: list[tuple[int, int]]) -> None:
    numbers, counts = np.array(sorted(parts), dtype=np.int64).reshape(-1, 2).T
    found, sums = pair_up(numbers, counts)
    expected: dict[int, int] = {}
    for number, count in parts:
        expected[number // 2] = expected.get(number // 2, 0) + count
    assert dict(zip(found.tolist(), sums.tolist(), strict=True)) == expected


@pytest.mark.parametrize("changes", [{"shares": (0, 1)}, {"edges": (0, 2, 1)}, {"shares": (0, 1, 0.5)}])
def test_what_is_no_distribution_is_refused(changes: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError):
        Distribution.model_validate({"edges": (0, 1, 2), "shares": (0, 0.5, 1), **changes})
