"""Counting the rows of a period: any pieces, any order, bounded memory."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.drift.period import MOST_PARTS, PeriodCounts
from container_component_src.telemetry.distribution import Distribution

SECOND = 10**9
REFERENCES = (
    Distribution(edges=(0, 1, 2, 3), shares=(0, 0.2, 0.9, 1)),
    Distribution(edges=(-1, 1), shares=(0, 1)),
)


def test_rows_are_counted_by_part_and_bin() -> None:
    period = PeriodCounts(REFERENCES)
    values = np.array([[-9, 0], [0.5, np.nan], [0.7, np.inf], [2.5, -2], [99, 0.5]])
    period.add(np.array([5, 5, 5, 5, 8]) * SECOND, values)
    assert period.counts(0).tolist() == [[1, 2, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
    assert period.counts(1).tolist() == [[1, 1, 0, 2], [0, 1, 0, 0]]
    assert period.means(0) == pytest.approx([(0.5 + 0.7 + 2.5 - 9) / 4, 99])
    assert period.means(1) == pytest.approx([-1, 0.5])
    assert [period.start_of(part) for part in range(2)] == [5 * SECOND, 8 * SECOND]
    assert (period.rows, period.first, period.last) == (5, 5 * SECOND, 8 * SECOND)
    assert period.days(period.counts(1)) == pytest.approx(2 / 86_400)


def test_a_part_without_a_value_has_no_mean_and_no_length() -> None:
    period = PeriodCounts(REFERENCES)
    period.add(np.array([0, 7]) * SECOND, np.array([[0.5, np.nan], [0.5, 0]]))
    assert np.isnan(period.means(1)[0])
    assert period.days(period.counts(1)) == pytest.approx(1 / 86_400)


@given(
    st.lists(st.tuples(st.integers(-(10**6), 10**6), st.floats(-1, 4)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
    st.randoms(use_true_random=False),
)
def test_pieces_and_order_do_not_matter(rows: list[tuple[int, float]], cuts: list[int], random: Random) -> None:
    def counted(rows: list[tuple[int, float]], cuts: list[int]) -> PeriodCounts:
        period = PeriodCounts(REFERENCES)
        for piece in np.split(np.array(rows), sorted(cuts)):
            period.add(piece[:, 0].astype(np.int64) * SECOND, np.column_stack([piece[:, 1], -piece[:, 1]]))
        return period

    whole = counted(rows, [])
    shuffled = random.sample(rows, len(rows))
    found = counted(shuffled, cuts)
    assert (found.length, found.first, found.rows) == (whole.length, whole.first, whole.rows)
    assert found.numbers.tolist() == whole.numbers.tolist()
    for series in range(2):
        assert found.counts(series).tolist() == whole.counts(series).tolist()
        assert found.means(series) == pytest.approx(whole.means(series), nan_ok=True)


def test_the_number_of_parts_is_limited() -> None:
    period = PeriodCounts(REFERENCES)
    for start in range(0, 10_000_000, 500_000):
        period.add(np.arange(start, start + 500_000, 100) * SECOND, np.zeros((5_000, 2)))
    assert MOST_PARTS / 2 < len(period.numbers) <= MOST_PARTS
    assert period.rows == period.counts(0).sum() == 100_000
