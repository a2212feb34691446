"""Rows in events, compared with brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.telemetry.events import Event, inside_any, row_bounds

SPANS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 40)), max_size=8)


def _events(spans: list[tuple[int, int]]) -> list[Event]:
    return [Event(id=str(index), start=start, end=start + length) for index, (start, length) in enumerate(spans)]


def test_start_is_inclusive_and_end_is_exclusive() -> None:
    event = Event(id="1", start=10, end=12)
    assert inside_any(np.array([9, 10, 11, 12]), [event]).tolist() == [False, True, True, False]
    assert inside_any(np.array([7, 8, 13, 14]), [event], margin=2).tolist() == [False, True, True, False]


def test_margin_beyond_the_times_that_nanoseconds_have() -> None:
    event = Event(id="1", start=-(2**63) + 1, end=2**63 - 2)
    assert inside_any(np.array([-(2**62), 2**62]), [event], margin=2**60).all()


@given(times=st.lists(st.integers(-100, 120), max_size=40), spans=SPANS, margin=st.integers(0, 30))
def test_inside_any_equals_brute_force(times: list[int], spans: list[tuple[int, int]], margin: int) -> None:
    events = _events(spans)
    expected = [any(event.start - margin <= time < event.end + margin for event in events) for time in times]
    assert inside_any(np.array(times, dtype=np.int64), events, margin).tolist() == expected


@given(times=st.sets(st.integers(-100, 120), max_size=40), spans=SPANS)
def test_row_bounds_equal_brute_force(times: set[int], spans: list[tuple[int, int]]) -> None:
    events = _events(spans)
    expected = [sum(event.start <= time < event.end for time in times) for event in events]
    bounds = row_bounds(np.array(sorted(times), dtype=np.int64), events)
    assert (bounds[:, 1] - bounds[:, 0]).tolist() == expected
