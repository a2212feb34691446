"""Expected values around events: few points with their extremes, in the units of the archives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.arrays import Float32Array
from container_component_src.evaluation import expected
from container_component_src.evaluation.event_result import ChannelExcess, Expectation
from container_component_src.evaluation.expected import (
    ALL_BUCKETS,
    MOST_BUCKETS,
    ExpectedValues,
    MinMaxBuckets,
    margin,
    moved_channels,
)
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaler import Scaler
from tests.evaluation.cases import SECOND, START
from tests.serving.bundles import CHANNELS, bundle_info

SCALER = Scaler(type=ScalerType.STANDARD, channels=CHANNELS, centre=(1000.0, 20.0, 5.0), scale=(10.0, 2.0, 0.5))


def model(max_gap_ns: int | None = 10 * SECOND) -> BundleInfo:
    return bundle_info().model_copy(update={"scaler": SCALER, "max_gap_ns": max_gap_ns})


def event(first: int, stop: int) -> Event:
    return Event(id=f"A-{first}", start=START + first * SECOND, end=START + stop * SECOND)


def seen(info: BundleInfo, events: list[Event], rows: int, cuts: list[int] | None = None) -> ExpectedValues:
    """Give values to a model's record of events that rise by 1 in each row and in each channel."""
    values: Float32Array = (np.arange(rows)[:, np.newaxis] + np.arange(3)).astype(np.float32)
    times = START + np.arange(rows, dtype=np.int64) * SECOND
    found = ExpectedValues(info, events)
    for piece in np.split(np.arange(rows), cuts or []):
        found.add(times[piece], values[piece])
    return found


@pytest.mark.parametrize(
    ("excess", "moved"),
    [
        ([9.0, 5.0, 1.0, 0.9], "abc"),  # three at most
        ([100.0, 5.0, 4.9], "ab"),  # 5 % of the largest
        ([2.0, 0.0, -1.0], "a"),
        ([0.0, -1.0, -2.0], "a"),  # one at least
    ],
)
def test_channels_that_moved(excess: list[float], moved: str) -> None:
    ranking = [ChannelExcess(channel=name, excess=value) for name, value in zip("abcd", excess, strict=False)]
    assert moved_channels(ranking) == tuple(moved)


@given(
    values=st.lists(st.integers(-9, 9), min_size=1, max_size=60),
    cuts=st.sets(st.integers(0, 60)),
    most=st.integers(1, 8),
    first_rows=st.integers(1, 3),
)
def test_buckets_have_the_extremes_of_their_rows(values: list[int], cuts: set[int], most: int, first_rows: int) -> None:
    rows = np.array(values, dtype=np.float32)[:, np.newaxis] * [1, -2]
    buckets, times = MinMaxBuckets(most, first_rows), np.arange(len(values)) * SECOND
    for piece in np.split(np.arange(len(values)), sorted(cut for cut in cuts if cut <= len(values))):
        buckets.push(times[piece], rows[piece].astype(np.float32))
    found = buckets.buckets()
    assert found is not None
    assert len(found.timestamps) <= most
    bounds = np.append(found.rows, len(values))
    np.testing.assert_array_equal(found.timestamps, times[found.rows])
    assert len({*np.diff(bounds)[:-1].tolist()}) <= 1  # all but the last have as many rows
    for position, (first, stop) in enumerate(pairwise(bounds.tolist())):
        np.testing.assert_array_equal(found.low[position], rows[first:stop].min(axis=0))
        np.testing.assert_array_equal(found.high[position], rows[first:stop].max(axis=0))


@pytest.mark.parametrize("cuts", [[], [150], [1, 2, 99, 300]])
def test_values_around_an_event_are_in_the_units_of_the_archives(cuts: list[int]) -> None:
    step = event(200, 201)
    found = seen(model(), [step], 700, cuts).of(step, CHANNELS[1:])
    # Rows 0 to 560 are within three margins of 120 rows; four of them are in a bucket, so that there are at most 200.
    assert found.timestamps == tuple(START + row * SECOND for row in range(0, 561, 4))
    assert [item.channel for item in found.channels] == list(CHANNELS[1:])
    second, third = found.channels
    assert (second.low[:2], second.high[:2]) == ((22.0, 30.0), (28.0, 36.0))  # 20 + 2 * (row + 1)
    assert third.low[1] == 5.0 + 0.5 * (4 + 2)


def test_an_event_without_rows_has_no_values() -> None:
    far = event(5000, 5010)
    assert seen(model(), [far], 100).of(far, CHANNELS) == Expectation()


def test_many_events_share_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BUCKETS < ALL_BUCKETS
    monkeypatch.setattr(expected, "ALL_BUCKETS", 10)
    events = [event(first, first + 1) for first in range(4)]
    for info in (model(), model(None)):  # without a known time step, only the event itself is kept
        found = seen(info, events, 300)
        assert all(len(found.of(item, CHANNELS).timestamps) <= 2 for item in events)


def test_the_margin_is_half_of_the_event_or_some_steps() -> None:
    assert margin(0, 1000 * SECOND, SECOND) == 500 * SECOND
    assert margin(0, 10 * SECOND, SECOND) == 120 * SECOND


def test_an_event_of_any_year_has_a_window() -> None:
    first, last = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)
    early, late = (Event(id=name, start=start, end=end) for name, start, end in (("a", first, 0), ("b", 0, last)))
    assert seen(model(), [early, late], 10).of(early, CHANNELS).timestamps
