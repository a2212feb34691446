"""Windowed baselines against values by hand, and against the definitions of their scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import distance
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

from container_component_src.arrays import Float32Array
from container_component_src.evaluation.windowed_baselines import (
    EXPLAINED_VARIANCE,
    WindowScorer,
    fit_windowed_baselines,
)
from container_component_src.model.sampling import sample_windows
from container_component_src.model.windows import Windowing
from tests.helpers import write_dataset


def scores_of(scorer: WindowScorer, windows: Float32Array, name: str) -> Float32Array:
    """Return a score of windows that have no row in common."""
    count, steps = len(windows), scorer.steps
    return scorer.scores(windows.reshape(count * steps, -1), np.arange(count * steps).reshape(count, steps))[name]


def scorer_of(steps: int, width: int, **vectors: Sequence[object]) -> WindowScorer:
    """Return a scorer with some vectors, of a width; the others are zeros."""
    zeros: dict[str, Sequence[object]] = {
        "centres": [[0.0] * width],
        "mean": [0.0] * width,
        "components": [[0.0] * width],
    }
    return WindowScorer(steps, **{name: np.array(value, dtype=np.float32) for name, value in (zeros | vectors).items()})


def test_the_distance_to_the_nearest_centre_by_hand() -> None:
    scorer = scorer_of(2, 2, centres=[[0, 0], [10, 0]])
    windows = np.array([[3, 4], [10, 0], [7, 4], [-6, 8]], dtype=np.float32)
    assert scores_of(scorer, windows, "windowed_kmeans").tolist() == [25, 0, 25, 100]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_residual_by_hand(steps: int) -> None:
    scorer = scorer_of(steps, 3, mean=[1, 1, 1], components=[[1, 0, 0]])
    windows = np.array([[9, 1, 1], [1, 4, 5], [-7, 1, 3]], dtype=np.float32)
    assert scores_of(scorer, windows, "windowed_pca").tolist() == [0, 25, 4]


def test_rows_that_windows_share_count_in_each() -> None:
    generator = np.random.default_rng(0)
    vectors = {"centres": generator.normal(size=(4, 6)), "mean": generator.normal(size=6)}
    vectors["components"] = np.linalg.qr(generator.normal(size=(6, 2)))[0].T
    scorer = scorer_of(3, 6, **{name: value.tolist() for name, value in vectors.items()})
    values = generator.normal(size=(9, 2)).astype(np.float32)
    positions = Windowing(3).rows(np.repeat([0, 4], [4, 5]), np.arange(9))
    windows = values[positions].reshape(9, 6)
    left = windows - vectors["mean"]
    left = left - left @ vectors["components"].T @ vectors["components"]
    expected = {
        "windowed_kmeans": distance.cdist(windows, vectors["centres"], "sqeuclidean").min(axis=1),
        "windowed_pca": (left**2).sum(axis=1),
    }
    for name, scores in scorer.scores(values, positions).items():
        np.testing.assert_allclose(scores, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_two_clusters_of_windows_are_found(tmp_path: Path) -> None:
    values = np.repeat([[0.0, 0.0], [8.0, 0.0]], 300, axis=0)
    train = write_dataset(tmp_path, values)
    scorer = fit_windowed_baselines(sample_windows(train, Windowing(2), 1000, 1000), 0, 2)
    windows = np.array([[0, 0, 0, 0], [8, 0, 8, 0], [8, 0, 0, 0], [0, 3, 0, 4]], dtype=np.float32)
    # A step down, which the training data does not have, and another channel are far from all centres.
    assert scores_of(scorer, windows, "windowed_kmeans") == pytest.approx([0, 0, 64, 25], abs=0.5)


def test_the_residual_is_the_reconstruction_error_of_the_components(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    walk = np.cumsum(generator.normal(size=(500, 1)), axis=0)
    values = (walk @ [[1.0, -1.0]] + generator.normal(size=(500, 2))).astype(np.float32)
    train = write_dataset(tmp_path, values)
    windows = sample_windows(train, Windowing(4), 1000, 1000)
    pca = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full").fit(windows)
    expected = ((windows - pca.inverse_transform(pca.transform(windows))) ** 2).sum(axis=1)
    found = scores_of(fit_windowed_baselines(windows, 0, 4), windows, "windowed_pca")
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_windows_of_equal_channels_leave_a_residual(tmp_path: Path) -> None:
    """With one channel and one step, a component would explain everything, and every score would be 0."""
    train = write_dataset(tmp_path, np.arange(50.0)[:, np.newaxis], ["a"])
    scorer = fit_windowed_baselines(sample_windows(train, Windowing(1), 1000, 1000), 0, 1)
    assert scores_of(scorer, np.array([[24.5], [34.5]], dtype=np.float32), "windowed_pca").tolist() == [0, 100]


def test_fewer_rows_than_clusters_are_enough(tmp_path: Path) -> None:
    train = write_dataset(tmp_path, np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]]))
    windows = sample_windows(train, Windowing(2), 1000, 1000)
    scorer = fit_windowed_baselines(windows, 0, 2)
    assert all(np.isfinite(scores_of(scorer, windows, name)).all() for name in ("windowed_kmeans", "windowed_pca"))


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
