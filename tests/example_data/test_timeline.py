import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.errors import InputError
from container_component_src.example_data.anomalies import KINDS, draw_kinds, schedule
from container_component_src.example_data.timeline import Timeline, plan_timeline


def test_times_skip_the_samples_of_gaps() -> None:
    timeline = Timeline(start_ns=1000, interval_ns=10, rows=6, gap_rows=np.array([2, 4]), skipped=np.array([3, 5]))
    assert timeline.times_ns(np.arange(6)).tolist() == [1000, 1010, 1050, 1060, 1090, 1100]
    assert timeline.end_ns == 1100


@given(seed=st.integers(0, 10_000), rows=st.integers(200, 60_000), year=st.sampled_from([2022, 2024]))
def test_planned_times_increase_within_the_year(seed: int, rows: int, year: int) -> None:
    times = plan_timeline(seed, year, rows).times_ns(np.arange(rows))
    assert (np.diff(times) > 0).all()
    assert times[0] == np.datetime64(f"{year}-01-01", "ns").astype(np.int64)
    assert times[-1] < np.datetime64(f"{year + 1}-01-01", "ns").astype(np.int64)


@pytest.mark.parametrize("rows", [525_000, 3_000_000, 31_536_000])
def test_many_rows_end_within_the_year(rows: int) -> None:
    assert plan_timeline(42, 2023, rows).end_ns < np.datetime64("2024-01-01", "ns").astype(np.int64)


def test_interval_below_a_millisecond() -> None:
    with pytest.raises(InputError, match="closer than 1 ms"):
        plan_timeline(42, 2023, 40_000_000_000)


@given(seed=st.integers(0, 10_000), count=st.integers(0, 40), per_event=st.integers(25, 400))
def test_events_do_not_overlap_and_have_rows(seed: int, count: int, per_event: int) -> None:
    timeline = plan_timeline(seed, 2022, max(200, count * per_event))
    times = timeline.times_ns(np.arange(timeline.rows))
    events = schedule(seed, 2022, timeline, *draw_kinds(seed, count))
    assert len(events) == count
    bounds = [bound for event in events for bound in (event.start_ns, event.end_ns)]
    assert bounds == sorted(bounds)
    for event in events:
        assert times[0] <= event.start_ns and event.end_ns <= times[-1]
        assert ((times >= event.start_ns) & (times < event.end_ns)).sum() >= 6


def test_every_kind_occurs_about_equally_often() -> None:
    kinds, severities = draw_kinds(42, 28)
    counts = [sum(kind is wanted for kind in kinds) for wanted in KINDS]
    assert set(counts) == {2, 3}
    assert severities.min() == pytest.approx(0.25)
    assert severities.max() == pytest.approx(1.0)
