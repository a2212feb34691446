"""Channels of single rows of a series in pieces, against those of an answer to the whole series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from container_component_src.alarms.tracker import ChannelShare
from container_component_src.arrays import Float32Array
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.model.excess import PeakChannels, excess, take_largest, take_largest_shares
from container_component_src.steps.calibration import Smoothing
from tests.serving.bundles import CHANNELS, bundle_info

SECOND = 10**9
ROWS = 40


def info(smoothing: Smoothing, window: int, channel_nats: tuple[float, ...] = (0.5, 1.0, 0.0)) -> BundleInfo:
    base = bundle_info(smoothing=smoothing, smoothing_window=window)
    return base.model_copy(update={"calibration": base.calibrated.model_copy(update={"channel_nats": channel_nats})})


def test_shares_are_of_the_excess_over_the_usual_contribution() -> None:
    usual = info(Smoothing.NONE, 1, (-2.0, 0.5, 3.0))
    beyond = excess(usual, np.array([[1.0, -0.5, 4.0]], dtype=np.float32), None)
    assert beyond.tolist() == [[3.0, -1.0, 1.0]]
    top, shares = take_largest_shares(beyond, 3)
    assert (top.tolist(), shares.tolist()) == ([[0, 2, 1]], [[0.75, 0.25, 0.0]])


def test_the_first_of_equal_values_leads() -> None:
    top, largest = take_largest(np.array([[1.0, 2.0, 2.0, 2.0]], dtype=np.float32), 2)
    assert (top.tolist(), largest.tolist()) == ([[1, 2]], [[2.0, 2.0]])


def test_only_the_rows_that_are_asked_for_are_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    smoothed: list[int] = []

    def counted(info: BundleInfo, contributions: Float32Array, timestamps: np.ndarray) -> Float32Array:
        smoothed.append(len(contributions))
        return excess(info, contributions, timestamps)

    monkeypatch.setattr("container_component_src.model.excess.excess", counted)
    channels = PeakChannels(info(Smoothing.MEAN, 5), 3)
    for first in (0, 1000):
        channels_at = channels.push((first + np.arange(1000)) * SECOND, np.ones((1000, 3), dtype=np.float32))
    assert smoothed == []
    channels_at(2)
    assert smoothed == [5]


@given(
    values=arrays(np.float32, (ROWS, 3), elements=st.sampled_from([0.0, 0.25, 1.0, 1.0, 7.5, 1e6])),
    steps=arrays(np.int64, ROWS, elements=st.sampled_from([1, 1, 1, 2, 30])),
    cuts=st.sets(st.integers(0, ROWS)),
    smoothing=st.sampled_from(Smoothing),
    window=st.integers(1, 8),
    count=st.integers(1, 4),
)
def test_channels_are_those_of_an_answer_to_the_whole_series(
    values: Float32Array, steps: np.ndarray, cuts: set[int], smoothing: Smoothing, window: int, count: int
) -> None:
    model, timestamps = info(smoothing, window), np.cumsum(steps) * SECOND
    top, shares = take_largest_shares(excess(model, values, timestamps), min(count, 3))
    channels, found = PeakChannels(model, count), []
    for rows in np.split(np.arange(ROWS), sorted(cuts)):
        channels_at = channels.push(timestamps[rows], values[rows])
        found += [channels_at(row) for row in range(len(rows))]
    for row in range(ROWS):
        expected = [ChannelShare(CHANNELS[i], share) for i, share in zip(top[row], shares[row].tolist(), strict=True)]
        assert found[row] == tuple(expected), row


def test_the_start_of_a_long_exponential_series_is_forgotten_to_the_precision_of_the_shares() -> None:
    random = np.random.default_rng(0)
    model, rows = info(Smoothing.EXPONENTIAL, 9), 2_000
    values, timestamps = random.exponential(size=(rows, 3)).astype(np.float32), np.arange(rows) * SECOND
    values[:100, 1] = 1e6
    assert model.smoother().context_rows < 200
    top, shares = take_largest_shares(excess(model, values, timestamps), 3)
    channels = PeakChannels(model, 3)
    for first in range(0, rows, 700):
        piece = slice(first, first + 700)
        channels_at = channels.push(timestamps[piece], values[piece])
        for row in range(len(timestamps[piece])):
            found = channels_at(row)
            assert [item.channel for item in found] == [CHANNELS[i] for i in top[first + row]]
            assert [item.share for item in found] == pytest.approx(shares[first + row].tolist(), rel=1e-6)
