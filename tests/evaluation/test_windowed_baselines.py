"""Windowed baselines against values by hand, and against the definitions of their scores."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

from container_component_src.arrays import Float32Array, IntArray
from container_component_src.evaluation import windowed_baselines
from container_component_src.evaluation.windowed_baselines import (
    EXPLAINED_VARIANCE,
    KMeansScorer,
    ResidualScorer,
    WindowSample,
    WindowSeries,
    fit_windowed_baselines,
)
from container_component_src.telemetry.dataset import Dataset, Frame
from tests.helpers import write_dataset

SECOND = 10**9


def frame(seconds: list[int], values: Float32Array) -> Frame:
    return Frame(np.array(seconds) * SECOND, values)


def pushed(series: WindowSeries, piece: Frame, rows: IntArray | None = None) -> list[list[float]]:
    return [window for _, windows in series.push(piece, rows) for window in windows.tolist()]


def sample_windows(train: Dataset, steps: int) -> Float32Array:
    sample = WindowSample(train, steps, max_gap_ns=None)
    for piece in train.frames():
        sample.add(piece)
    return sample.windows()


def test_windows_look_back_only_and_never_across_a_gap() -> None:
    series = WindowSeries(3, max_gap_ns=SECOND)
    piece = frame([0, 1, 2, 3, 10, 11], np.array([[1], [2], [3], [4], [5], [6]], dtype=np.float32))
    assert pushed(series, piece) == [[1, 1, 1], [1, 1, 2], [1, 2, 3], [2, 3, 4], [5, 5, 5], [5, 5, 6]]


def test_a_window_has_all_channels_of_a_row_before_those_of_the_next() -> None:
    piece = frame([0, 1], np.array([[1, 10], [2, 20]], dtype=np.float32))
    assert pushed(WindowSeries(2, None), piece) == [[1, 10, 1, 10], [1, 10, 2, 20]]


@pytest.mark.parametrize("cuts", [[1], [2, 3, 7], [4, 5, 6]])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_pieces_do_not_matter(cuts: list[int], steps: int) -> None:
    values = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    seconds = [0, 1, 2, 3, 4, 20, 21, 22, 23]
    expected = pushed(WindowSeries(steps, SECOND), frame(seconds, values))
    series, bounds = WindowSeries(steps, SECOND), [0, *cuts, 9]
    pieces = itertools.pairwise(bounds)
    assert [
        window for first, stop in pieces for window in pushed(series, frame(seconds[first:stop], values[first:stop]))
    ] == expected


def test_chosen_rows_and_small_batches_give_the_same_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = frame(list(range(8)), np.arange(16, dtype=np.float32).reshape(8, 2))
    expected = pushed(WindowSeries(3, SECOND), piece)
    monkeypatch.setattr(windowed_baselines, "BATCH_VALUES", 12)  # two windows
    assert pushed(WindowSeries(3, SECOND), piece) == expected
    found = list(WindowSeries(3, SECOND).push(piece, np.array([1, 4, 6])))
    assert [rows.tolist() for rows, _ in found] == [[1, 4], [6]]
    assert np.concatenate([windows for _, windows in found]).tolist() == [expected[row] for row in (1, 4, 6)]


def test_the_distance_to_the_nearest_centre_by_hand() -> None:
    centres = np.array([[0, 0], [10, 0]], dtype=np.float32)
    windows = np.array([[3, 4], [10, 0], [7, 4], [-6, 8]], dtype=np.float32)
    assert KMeansScorer(2, centres).scores(windows).tolist() == [25, 0, 25, 100]


def test_the_residual_by_hand() -> None:
    mean, components = np.array([1, 1, 1], dtype=np.float32), np.array([[1, 0, 0]], dtype=np.float32)
    windows = np.array([[9, 1, 1], [1, 4, 5], [-7, 1, 3]], dtype=np.float32)
    assert ResidualScorer(3, mean, components).scores(windows).tolist() == [0, 25, 4]


def test_two_clusters_of_windows_are_found(tmp_path: Path) -> None:
    values = np.repeat([[0.0, 0.0], [8.0, 0.0]], 300, axis=0)
    train = write_dataset(tmp_path, values)
    kmeans = fit_windowed_baselines(sample_windows(train, 2), 0, 2)["windowed_kmeans"]
    windows = np.array([[0, 0, 0, 0], [8, 0, 8, 0], [8, 0, 0, 0], [0, 3, 0, 4]], dtype=np.float32)
    # A step down, which the training data does not have, and another channel are far from all centres.
    assert kmeans.scores(windows) == pytest.approx([0, 0, 64, 25], abs=0.5)


def test_the_residual_is_the_reconstruction_error_of_the_components(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    walk = np.cumsum(generator.normal(size=(500, 1)), axis=0)
    values = (walk @ [[1.0, -1.0]] + generator.normal(size=(500, 2))).astype(np.float32)
    train = write_dataset(tmp_path, values)
    windows = sample_windows(train, 4)
    pca = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full").fit(windows)
    expected = ((windows - pca.inverse_transform(pca.transform(windows))) ** 2).sum(axis=1)
    found = fit_windowed_baselines(sample_windows(train, 4), 0, 4)["windowed_pca"].scores(windows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_windows_of_equal_channels_leave_a_residual(tmp_path: Path) -> None:
    """With one channel and one step, a component would explain everything, and every score would be 0."""
    train = write_dataset(tmp_path, np.arange(50.0)[:, np.newaxis], ["a"])
    pca = fit_windowed_baselines(sample_windows(train, 1), 0, 1)["windowed_pca"]
    assert pca.scores(np.array([[24.5], [34.5]], dtype=np.float32)).tolist() == [0, 100]


@pytest.mark.parametrize("partition_rows", [1, 7, 100])
def test_the_sample_is_bounded_and_spaced_evenly(
    tmp_path: Path, partition_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = write_dataset(tmp_path, np.arange(200.0).reshape(100, 2), partition_rows=partition_rows)
    monkeypatch.setattr(windowed_baselines, "SAMPLE_WINDOWS", 25)
    assert sample_windows(train, 1)[:, 0].tolist() == list(range(0, 200, 8))
    monkeypatch.setattr(windowed_baselines, "SAMPLE_VALUES", 40)  # ten windows of two steps
    assert sample_windows(train, 2)[:, 2].tolist() == list(range(0, 200, 20))
    assert sample_windows(train, 2)[1].tolist() == [18, 19, 20, 21]


def test_fewer_rows_than_clusters_are_enough(tmp_path: Path) -> None:
    train = write_dataset(tmp_path, np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]]))
    for scorer in fit_windowed_baselines(sample_windows(train, 2), 0, 2).values():
        assert np.isfinite(scorer.scores(sample_windows(train, 2))).all()


def test_the_fit_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[set[int]] = []

    def recorded(fit: Callable[[object, Float32Array], object]) -> Callable[[object, Float32Array], object]:
        def fit_and_record(estimator: object, sample: Float32Array) -> object:
            used.append({pool["num_threads"] for pool in threadpool_info()})
            return fit(estimator, sample)

        return fit_and_record

    for estimator in (MiniBatchKMeans, PCA):
        monkeypatch.setattr(estimator, "fit", recorded(estimator.fit))
    with threadpool_limits(2):
        fit_windowed_baselines(np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32), 0, 2)
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}
    assert used == [{1}, {1}]
