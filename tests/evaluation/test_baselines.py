"""Baselines against the definitions of their scores."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import distance
from sklearn.decomposition import PCA

from container_component_src.arrays import Float32Array
from container_component_src.evaluation.baselines import ForestScorer, Scorer, fit_baselines
from container_component_src.evaluation.windowed_baselines import EXPLAINED_VARIANCE

CHANNELS = 5


def correlated(rows: int, seed: int = 0) -> Float32Array:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(CHANNELS, CHANNELS)) * (3.0, 1.0, 1.0, 0.3, 0.1)
    return (generator.normal(size=(rows, CHANNELS)) @ mixing.T + np.arange(CHANNELS)).astype(np.float32)


def scores_of(scorers: Sequence[Scorer], rows: Float32Array) -> dict[str, Float32Array]:
    """Return the scores of single rows by baseline."""
    windows = np.arange(len(rows))[:, np.newaxis]
    return {name: scores for scorer in scorers for name, scores in scorer.scores(rows, windows).items()}


def fitted(train: Float32Array, rows: Float32Array) -> dict[str, Float32Array]:
    """Return the scores of rows by baselines that are fitted on others."""
    return scores_of(fit_baselines(train, seed=0, window_steps=1), rows)


def test_the_z_score_is_a_sum_of_squares() -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    expected = (((rows - train.mean(axis=0)) / train.std(axis=0)) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitted(train, rows)["z_score"], expected, rtol=1e-4)


def test_the_mahalanobis_distance_uses_the_covariance() -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    inverse = np.linalg.inv(np.cov(train.T.astype(np.float64), ddof=0))
    mean = train.mean(axis=0, dtype=np.float64)
    expected = [distance.mahalanobis(row, mean, inverse) ** 2 for row in rows.astype(np.float64)]
    np.testing.assert_allclose(fitted(train, rows)["mahalanobis"], expected, rtol=1e-3)


def test_the_pca_residual_is_the_reconstruction_error_of_the_components() -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    pca = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full").fit(train)
    expected = ((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitted(train, rows)["pca_residual"], expected, rtol=1e-3)


def test_the_isolation_forest_scores_an_outlier_highest() -> None:
    train = correlated(1000)
    rows = np.concatenate([correlated(50, seed=1), train.mean(axis=0, keepdims=True) + 100])
    assert np.argmax(fitted(train, rows)["isolation_forest"]) == 50


def test_the_scores_of_the_isolation_forest_are_those_of_scikit_learn() -> None:
    scorers, rows = fit_baselines(correlated(1000), 0, 1), correlated(5000, seed=1)
    [forest] = [scorer.forest for scorer in scorers if isinstance(scorer, ForestScorer)]
    expected = -forest.score_samples(rows).astype(np.float32)
    np.testing.assert_array_equal(scores_of(scorers, rows)["isolation_forest"], expected)


def test_single_rows_are_scored_by_what_the_last_rows_of_windows_show() -> None:
    windows, rows = correlated(3000).reshape(1000, 3 * CHANNELS), correlated(20, seed=1)
    expected = fitted(windows[:, -CHANNELS:], rows)
    found = scores_of(fit_baselines(windows, 0, 3)[:2], rows)
    for name in ("z_score", "mahalanobis", "pca_residual", "isolation_forest"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_duplicated_channel_does_not_change_the_mahalanobis_distance() -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    expected = fitted(train, rows)["mahalanobis"]
    doubled, doubled_rows = (np.hstack([values, values[:, :1]]) for values in (train, rows))
    twice = fitted(doubled, doubled_rows)
    np.testing.assert_allclose(twice["mahalanobis"], expected, rtol=1e-2)
