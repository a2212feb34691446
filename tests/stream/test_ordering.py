import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.stream.ordering import RECENT_ROWS, ReorderBuffer
from container_component_src.stream.rows import Row


def row(timestamp: int) -> Row:
    return Row(timestamp, np.zeros(1), 0.0)


def sent(buffer: ReorderBuffer, *timestamps: int) -> list[int]:
    found = []
    for timestamp in timestamps:
        buffer.push(row(timestamp))
        found += [item.timestamp for item in buffer.ready()]
    return found


def test_without_a_window_rows_do_not_wait() -> None:
    buffer = ReorderBuffer()
    assert sent(buffer, 1, 3, 2, 3, 4) == [1, 3, 4]
    assert [buffer.push(row(3)), buffer.push(row(4)), buffer.push(row(2))] == ["duplicate", "duplicate", "late"]


@pytest.mark.parametrize(
    ("seconds", "rows", "expected"),
    [(5, 0, [10, 12, 14]), (0, 2, [10, 12, 14]), (5, 3, [10, 12, 14]), (100, 3, [10, 12]), (100, 0, [])],
)
def test_rows_wait_for_older_ones(seconds: int, rows: int, expected: list[int]) -> None:
    buffer = ReorderBuffer(seconds, rows)
    assert sent(buffer, 10, 14, 12, 18, 19) == expected
    assert [item.timestamp for item in buffer.flush()] == sorted({10, 12, 14, 18, 19} - set(expected))
    assert buffer.flush() == []


def test_a_row_that_waits_is_a_duplicate_if_it_comes_again() -> None:
    buffer = ReorderBuffer(wait_rows=5)
    assert [buffer.push(row(time)) for time in (1, 2, 1)] == [None, None, "duplicate"]
    assert len(buffer.held) == 2


def test_of_the_rows_before_only_the_last_are_known() -> None:
    buffer = ReorderBuffer()
    sent(buffer, *range(RECENT_ROWS + 1))
    assert [buffer.push(row(1)), buffer.push(row(0))] == ["duplicate", "late"]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(1, 8))
def test_rows_that_are_late_within_the_window_come_in_order(delays: list[int], window: int) -> None:
    order = np.argsort(np.arange(len(delays)) + np.minimum(delays, window), kind="stable")
    buffer = ReorderBuffer(wait_rows=window)
    found = sent(buffer, *order.tolist()) + [item.timestamp for item in buffer.flush()]
    assert found == list(range(len(delays)))
