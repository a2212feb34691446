from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_component_src.arrays import Float32Array, IntArray
from container_component_src.model.synthetic_anomalies import (
    GUARD_ROWS,
    LENGTHS,
    Kind,
    SyntheticAnomaly,
    channel_scales,
    disturbed,
    draw,
    inject,
)
from container_component_src.telemetry.smoothing import segment_starts
from tests.model.datasets import make_values

VALUES = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]], dtype=np.float32)
SEEDS = st.integers(0, 2**32)
GAPS = st.lists(st.integers(1, 600), max_size=12)  # rows before which there is a gap


def starts_of(rows: int, gaps: list[int]) -> IntArray:
    return segment_starts(np.arange(rows) + 100 * np.isin(np.arange(rows), gaps).cumsum(), 10)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.SPIKE, [6, 7, 8]),
        (Kind.SHIFT, [6, 7, 8]),
        (Kind.DRIFT, [2 + 4 / 3, 3 + 8 / 3, 8]),
        (Kind.STUCK, [1, 1, 1]),
    ],
)
def test_the_kinds(kind: Kind, expected: list[float]) -> None:
    anomaly = SyntheticAnomaly(kind, 1, 4, np.array([0]), np.array([4.0]))
    changed = disturbed(VALUES, anomaly, np.random.default_rng(0))
    assert changed[:, 0] == pytest.approx(expected)
    assert changed[:, 1].tolist() == [20, 30, 40]  # of the other channel
    assert VALUES[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_noise_of_several_channels() -> None:
    values = np.ones((4001, 3), dtype=np.float32)
    anomaly = SyntheticAnomaly(Kind.NOISE, 1, 4001, np.array([2, 0]), np.array([-3.0, 0.5]))
    noise = disturbed(values, anomaly, np.random.default_rng(0)) - 1
    assert noise.mean(axis=0) == pytest.approx([0, 0, 0], abs=0.15)
    assert noise.std(axis=0) == pytest.approx([0.5, 0, 3], rel=0.05)
    assert abs(np.corrcoef(noise[:, 0], noise[:, 2])[0, 1]) < 0.1


def test_the_scale_of_a_channel() -> None:
    normal = np.random.default_rng(0).standard_normal(100_000)
    outliers = np.where(np.arange(100_000) < 1000, 1e4, 3 * normal)
    rare = np.arange(100_000) < 1000
    values = np.stack([3 * normal, outliers, rare, np.full(100_000, 0.1)], axis=1).astype(np.float32)
    scales = channel_scales(values)
    assert scales == pytest.approx([3, scales[1], np.sqrt(0.01 * 0.99), 0], rel=0.02)
    assert scales[1] == pytest.approx(outliers.std())  # of which the usual deviation is most


@given(seed=SEEDS, gaps=GAPS)
def test_drawn_anomalies(seed: int, gaps: list[int]) -> None:
    starts = starts_of(600, gaps)
    scales = np.array([1, 0, 1e-3, 10, 1, 1, 1, 1, 1, 1])
    anomalies = sorted(draw(starts, scales, np.random.default_rng(seed)), key=lambda anomaly: anomaly.first)
    stop = 0
    for anomaly in anomalies:
        assert stop < anomaly.first  # the row before is normal
        stop = anomaly.stop
        assert stop <= 600
        assert starts[anomaly.first - 1] == starts[stop - 1]  # no gap lies between these rows
        shortest, longest = LENGTHS[anomaly.kind]
        assert shortest <= stop - anomaly.first <= longest
        assert len({*anomaly.channels.tolist()}) == len(anomaly.channels)
        assert len(anomaly.channels) in {1, 2}  # at most a quarter of nine
        assert 1 not in anomaly.channels
        sizes = np.abs(anomaly.steps) / scales[anomaly.channels]
        assert (sizes > 0.49).all()
        assert (sizes < 5.01).all()
    assert sum(anomaly.stop - anomaly.first for anomaly in anomalies) < 60 + 60  # the last one passes the share


def test_anomalies_of_all_kinds_signs_and_channels_in_a_tenth_of_the_rows() -> None:
    anomalies = list(draw(np.zeros(20_000, dtype=np.int64), np.ones(8), np.random.default_rng(0)))
    assert sum(anomaly.stop - anomaly.first for anomaly in anomalies) == pytest.approx(2000, abs=60)
    bounds = sorted((anomaly.first, anomaly.stop) for anomaly in anomalies)
    for (first, stop), (next_first, next_stop) in pairwise(bounds):  # at least the shorter of two lies between them
        assert next_first - stop >= min(stop - first, next_stop - next_first)
    counts = [sum(anomaly.kind == kind for anomaly in anomalies) for kind in Kind]
    assert min(counts) > 0.5 * max(counts)
    assert {len(anomaly.channels) for anomaly in anomalies} == {1, 2}
    assert {*np.concatenate([anomaly.channels for anomaly in anomalies]).tolist()} == {*range(8)}
    assert np.mean(np.concatenate([anomaly.steps for anomaly in anomalies]) > 0) == pytest.approx(0.5, abs=0.2)


@given(seed=SEEDS, gaps=GAPS)
def test_injected_values_and_labels(seed: int, gaps: list[int]) -> None:
    values, starts = make_values(600, 0), starts_of(600, gaps)
    original = values.copy()
    injection = inject(values, starts, seed)
    anomalous = np.zeros(600, dtype=np.bool_)
    after = np.zeros(600, dtype=np.bool_)
    for anomaly in draw_as_injected(values, starts, seed):
        anomalous[anomaly.first : anomaly.stop] = True
        after[anomaly.stop : anomaly.stop + GUARD_ROWS] = True
    assert np.array_equal(values, original)
    assert injection.values.dtype == np.float32
    assert np.array_equal(injection.labels, anomalous)
    assert np.array_equal(injection.values[~anomalous], values[~anomalous])
    assert (injection.values[anomalous] != values[anomalous]).any(axis=1).all()
    assert np.array_equal(injection.left_out, after & ~anomalous)


def draw_as_injected(values: Float32Array, starts: IntArray, seed: int) -> list[SyntheticAnomaly]:
    """Return the anomalies that `inject` draws from the same random numbers."""
    rng, anomalies = np.random.default_rng(seed), []
    for anomaly in draw(starts, channel_scales(values), rng):
        anomalies.append(anomaly)
        disturbed(values, anomaly, rng)
    return anomalies


@given(seed=SEEDS)
def test_the_seed_decides(seed: int) -> None:
    values, starts = make_values(600, 0), starts_of(600, [])
    first, again, other = (inject(values, starts, number).values for number in (seed, seed, seed + 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(seed=SEEDS)
def test_a_change_that_is_none_is_not_labelled(seed: int) -> None:
    values = np.repeat([0, 1], 300).astype(np.float32)[:, np.newaxis]
    injection = inject(values, starts_of(600, []), seed)
    runs = np.split(np.arange(600), np.flatnonzero(np.diff(injection.labels)) + 1)
    for rows in runs:
        assert (injection.values[rows] != values[rows]).any() == injection.labels[rows[0]]


@pytest.mark.parametrize(
    ("values", "gaps"),
    [
        (np.ones((600, 2)), []),
        (np.arange(600.0)[:, np.newaxis], [*range(600)]),
        (np.zeros((1, 1)), []),
    ],
    ids=["constant", "gaps everywhere", "one row"],
)
def test_data_without_room_stay_normal(values: np.ndarray, gaps: list[int]) -> None:
    injection = inject(values.astype(np.float32), starts_of(len(values), gaps), 0)
    assert np.array_equal(injection.values, values)
    assert not injection.labels.any()
    assert not injection.left_out.any()
