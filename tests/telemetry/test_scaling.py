"""The scaler, compared with values by hand and with NumPy, for several partitionings."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import ValidationError

from container_component_src.arrays import Float32Array, Float64Array
from container_component_src.errors import InputError
from container_component_src.steps.data import ScalerType
from container_component_src.telemetry import scaling
from container_component_src.telemetry.dataset import Dataset
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.scaler import Scaler
from container_component_src.telemetry.scaling import Moments, fit_scaler, load_scaler, scale_datasets
from tests.helpers import write_dataset

MEASURED = st.floats(-1e6, 1e6, width=32) | st.floats(101_300, 101_301, width=32)
MATRICES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=MEASURED | st.sampled_from([np.nan, np.inf, -np.inf]),
)
# A ramp, a constant channel, one with mostly one value, one with missing values, one with a single value, and one with
# none.
BY_HAND = np.array(
    [
        [0, 5, 1, 10, np.nan, np.nan],
        [2, 5, 1, np.nan, np.nan, np.inf],
        [4, 5, 1, 20, np.nan, np.nan],
        [6, 5, 1, np.inf, np.nan, np.nan],
        [8, 5, 6, 60, 0, np.nan],
    ],
    dtype=np.float32,
)
NAMES = ("ramp", "still", "rest", "gaps", "once", "absent")


def _scale(uri: str, scaler: Scaler, target: str) -> Dataset:
    return scale_datasets({"": Dataset.open(uri)}, scaler, {"": target})[""]


def _span_in_steps(values: Float64Array) -> float:
    """Return the range of values in steps of float32 at the largest of them."""
    return float(np.ptp(values) / np.spacing(np.float32(np.abs(values).max())))


def _cut(values: Float32Array, cuts: list[int]) -> list[Float32Array]:
    bounds = [0, *sorted({cut % len(values) for cut in cuts} - {0}), len(values)]
    return [values[first:last] for first, last in pairwise(bounds)]


@pytest.mark.parametrize(
    ("kind", "centre", "scale"),
    [
        # Standard deviations: of 0 2 4 6 8, of 1 1 1 1 6, of 10 20 60.
        (ScalerType.STANDARD, (4, 5, 2, 30, 0), (8**0.5, 0.05, 2, (1400 / 3) ** 0.5, 0.01)),
        (ScalerType.MINMAX, (0, 5, 1, 10, 0), (8, 0.05, 5, 50, 0.01)),
        # rest: no interquartile range, so the standard deviation
        (ScalerType.ROBUST, (4, 5, 1, 20, 0), (4, 0.05, 2, 25, 0.01)),
    ],
)
@pytest.mark.parametrize("partition_rows", [0, 1, 2])
def test_fit_by_hand(
    kind: ScalerType, centre: tuple[float, ...], scale: tuple[float, ...], partition_rows: int, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "train", BY_HAND, NAMES, partition_rows=partition_rows)
    scaler = fit_scaler(str(tmp_path / "train"), kind)
    assert (scaler.type, scaler.channels) == (kind, NAMES[:5])
    assert (scaler.constant, scaler.absent) == (("still", "once"), ("absent",))
    assert scaler.varying == ("ramp", "rest", "gaps")
    np.testing.assert_allclose(scaler.centre, centre, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, scale, rtol=1e-12)


def test_transform_by_hand() -> None:
    scaler = Scaler(type=ScalerType.STANDARD, channels=("a", "b"), centre=(10, -1), scale=(2, 0.5))
    values = np.array([[10, -1], [14, 0], [np.nan, np.inf], [8, -np.inf]], np.float32)
    assert scaler.transform(values).tolist() == [[0, 0], [2, 2], [0, 0], [-1, 0]]
    assert scaler.transform(values).dtype == np.float32
    assert np.isnan(values[2, 0])  # the input does not change
    assert scaler.inverse_transform(np.array([[2, 2]], np.float32)).tolist() == [[14, 0]]


@given(values=MATRICES, cuts=st.lists(st.integers(0, 11), max_size=5))
def test_moments_equal_numpy_for_any_partitions(values: Float32Array, cuts: list[int]) -> None:
    moments = Moments(values.shape[1])
    for part in _cut(values, cuts):
        moments.add(part)
    for index, column in enumerate(values.T):
        finite = column[np.isfinite(column)].astype(np.float64)
        assert moments.count[index] == len(finite)
        assert moments.constant[index] == (len(finite) > 0 and _span_in_steps(finite) <= scaling.NOISE_STEPS)
        if len(finite):
            size = np.abs(finite).max()
            np.testing.assert_allclose(moments.mean[index], finite.mean(), atol=1e-14 * size)
            np.testing.assert_allclose(moments.std[index], finite.std(), rtol=1e-9, atol=1e-12 * size)
            assert (moments.minimum[index], moments.maximum[index]) == (finite.min(), finite.max())


def test_moments_are_precise_with_a_large_offset() -> None:
    values = (101_325 + np.random.default_rng(0).normal(0, 0.5, (10_000, 1))).astype(np.float32)
    moments = Moments(1)
    for part in np.array_split(values, 37):
        moments.add(part)
    np.testing.assert_allclose(moments.std, values.astype(np.float64).std(axis=0), rtol=1e-12)


@given(values=MATRICES, rows=st.integers(1, 12), at_once=st.integers(1, 40))
def test_quartiles_equal_numpy_for_any_memory_limit(
    values: Float32Array, rows: int, at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"c{index}" for index in range(values.shape[1])]
    train = write_dataset(tmp_path_factory.mktemp("q") / "train", values, names, partition_rows=rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "QUANTILE_VALUES", at_once)
        quartiles = scaling._quartiles(train)
    for index, column in enumerate(values.T):
        finite = column[np.isfinite(column)].astype(np.float64)
        expected = np.quantile(finite, [0.25, 0.5, 0.75]) if len(finite) else np.zeros(3)
        np.testing.assert_allclose(quartiles[:, index], expected, rtol=1e-6, atol=0.1)


@given(
    values=arrays(np.float32, (6, 2), elements=st.floats(-1000, 1000, width=32)),
    centre=st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)),
    scale=st.tuples(st.floats(0.1, 100), st.floats(0.1, 100)),
)
def test_inverse_transform(values: Float32Array, centre: tuple[float, float], scale: tuple[float, float]) -> None:
    scaler = Scaler(type=ScalerType.MINMAX, channels=("a", "b"), centre=centre, scale=scale)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(values)), values, rtol=1e-5, atol=1e-2)


def test_scaler_round_trip(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", BY_HAND, NAMES)
    scaler = fit_scaler(str(tmp_path / "train"), ScalerType.STANDARD)
    (tmp_path / "s.json").write_text(scaler.model_dump_json())
    assert load_scaler(str(tmp_path / "s.json")) == scaler


def test_scaled_training_data_has_mean_zero_and_variance_one(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal((1000, -3), (50, 0.1), (500, 2))
    write_dataset(tmp_path / "train", values, partition_rows=90)
    scaler = fit_scaler(str(tmp_path / "train"), ScalerType.STANDARD)
    scaled = _scale(str(tmp_path / "train"), scaler, str(tmp_path / "scaled")).load().values
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


def test_channels_are_matched_by_name_and_labels_and_events_are_kept(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.MINMAX, channels=("b", "a"), centre=(0, 1), scale=(2, 1), absent=("c",))
    events = (Event(id="1", start=0, end=1),)
    labels = np.array([0, 1])
    write_dataset(tmp_path / "d", np.array([[1, 2, 9], [np.nan, 4, 9]]), ("a", "b", "c"), labels=labels, events=events)
    _scale(str(tmp_path / "d"), scaler, str(tmp_path / "scaled"))
    scaled = Dataset.open(str(tmp_path / "scaled"))
    frame = scaled.load()
    assert scaled.channels == ("b", "a")
    assert frame.values.tolist() == [[1, 0], [2, 0]]
    assert frame.labels is not None
    assert frame.labels.tolist() == [0, 1]
    assert scaled.manifest.missing == {"a": 1}
    assert (scaled.manifest.events, scaled.manifest.scaler) == (events, scaler)


def test_scaler_of_other_channels(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.MINMAX, channels=("a",), centre=(0,), scale=(1,))
    write_dataset(tmp_path / "d", np.eye(2))
    with pytest.raises(InputError, match="it also has 'b'"):
        _scale(str(tmp_path / "d"), scaler, str(tmp_path / "scaled"))
    assert not (tmp_path / "scaled").exists()


def test_two_scaled_datasets_have_different_folders(tmp_path: Path) -> None:
    scaler = Scaler(type=ScalerType.MINMAX, channels=("a", "b"), centre=(0, 0), scale=(1, 1))
    datasets = {name: write_dataset(tmp_path / name, np.eye(2)) for name in ("train", "val")}
    with pytest.raises(InputError, match="the step uses this folder already"):
        scale_datasets(datasets, scaler, dict.fromkeys(datasets, str(tmp_path / "scaled")))


@pytest.mark.parametrize(
    ("constant", "expected"),
    [
        (0.0, 0.01),  # its size is unknown
        (1.0, 0.01),
        (-0.5, 0.005),
        (1013.25, 10.1325),
        (2.5e-6, 2.5e-8),  # a pressure in another unit
        (3e-30, 1e-8),  # no smaller
        (5.0, 0.05),
        (20_000.0, 0.1),  # a step of a counter is ten resolutions
    ],
)
def test_resolution_by_hand(constant: float, expected: float) -> None:
    np.testing.assert_allclose(scaling.resolution(np.array([constant])), [expected], rtol=1e-12)


@given(constant=st.integers(-(2**24), 2**24), step=st.sampled_from([-1, 1]))
def test_a_step_of_a_channel_of_whole_numbers_is_a_clear_departure(constant: int, step: int) -> None:
    departure = step / scaling.resolution(np.array([float(constant)]))
    assert np.abs(departure) >= 10


@pytest.mark.parametrize("kind", list(ScalerType))
def test_a_channel_that_wanders_by_rounding_is_constant(kind: ScalerType, tmp_path: Path) -> None:
    """Scaled by its own noise, any other value would be an enormous departure."""
    step = float(np.spacing(np.float32(21.4)))
    wanders = np.float32(21.4) + step * np.random.default_rng(0).integers(0, 5, 200)
    values = np.column_stack([np.arange(200), wanders, np.where(np.arange(200) % 2, 0, 1e-6)])
    write_dataset(tmp_path / "train", values, ("ramp", "wanders", "small"))
    scaler = fit_scaler(str(tmp_path / "train"), kind)
    assert scaler.constant == ("wanders",)  # a small unit is no noise
    scaled = _scale(str(tmp_path / "train"), scaler, str(tmp_path / "scaled")).load().values
    assert np.abs(scaled[:, 1]).max() < 0.01
    assert scaler.scale[1] == pytest.approx(0.214, rel=1e-3)


def test_the_log_names_constant_channels_with_their_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_dataset(tmp_path / "train", BY_HAND, NAMES)
    with caplog.at_level("INFO"):
        fit_scaler(str(tmp_path / "train"), ScalerType.STANDARD)
    assert caplog.messages == [
        "2 constant channels, whose departures will raise the score: still (5), once (0)",
        "dropped 1 channels without a value: absent",
    ]


def test_departures_are_in_resolutions_and_missing_values_are_none(tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", BY_HAND, NAMES)
    scaler = fit_scaler(str(tmp_path / "train"), ScalerType.STANDARD)
    later = BY_HAND.copy()
    later[:, 1] = (5, 5.1, np.nan, 4, 5)
    later[:, 5] = 3  # nothing is known about this channel
    write_dataset(tmp_path / "later", later, NAMES)
    scaled = _scale(str(tmp_path / "later"), scaler, str(tmp_path / "scaled"))
    assert scaled.channels == NAMES[:5]
    np.testing.assert_allclose(scaled.load().values[:, 1], [0, 2, 0, -20, 0], rtol=1e-4)


@pytest.mark.parametrize("constant", [("c",), ("a", "b")])
def test_constant_channels_are_some_of_the_channels(constant: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="the constant channels are not some of the channels"):
        Scaler(type=ScalerType.MINMAX, channels=("a", "b"), centre=(0, 1), scale=(2, 1), constant=constant)
