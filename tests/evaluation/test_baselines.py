"""Baselines against the definitions of their scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import distance
from sklearn.decomposition import PCA

from container_component_src.arrays import Float32Array
from container_component_src.evaluation import baselines
from container_component_src.evaluation.baselines import ForestScorer, Scorer, fit_baselines
from container_component_src.evaluation.windowed_baselines import EXPLAINED_VARIANCE
from container_component_src.model import sampling
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.manifest import Partition
from tests.helpers import write_dataset

CHANNELS = 5


def correlated(rows: int, seed: int = 0) -> Float32Array:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(CHANNELS, CHANNELS)) * (3.0, 1.0, 1.0, 0.3, 0.1)
    return (generator.normal(size=(rows, CHANNELS)) @ mixing.T + np.arange(CHANNELS)).astype(np.float32)


def fit(folder: Path, values: Float32Array, partition_rows: int = 300) -> list[Scorer]:
    write_dataset(folder, values, [f"channel {number}" for number in range(values.shape[1])], None, partition_rows)
    return fit_baselines(Dataset.open(str(folder)), seed=0, windowing=Windowing())


def scores_of(scorers: Sequence[Scorer], rows: Float32Array) -> dict[str, Float32Array]:
    """Return the scores of single rows by baseline."""
    windows = np.arange(len(rows))[:, np.newaxis]
    return {name: scores for scorer in scorers for name, scores in scorer.scores(rows, windows).items()}


def fitted(folder: Path, train: Float32Array, rows: Float32Array, partition_rows: int = 300) -> dict[str, Float32Array]:
    """Return the scores of rows by baselines that are fitted on others."""
    return scores_of(fit(folder, train, partition_rows), rows)


def test_the_z_score_is_a_sum_of_squares(tmp_path: Path) -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    expected = (((rows - train.mean(axis=0)) / train.std(axis=0)) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitted(tmp_path, train, rows)["z_score"], expected, rtol=1e-4)


def test_the_mahalanobis_distance_uses_the_covariance(tmp_path: Path) -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    inverse = np.linalg.inv(np.cov(train.T.astype(np.float64), ddof=0))
    mean = train.mean(axis=0, dtype=np.float64)
    expected = [distance.mahalanobis(row, mean, inverse) ** 2 for row in rows.astype(np.float64)]
    np.testing.assert_allclose(fitted(tmp_path, train, rows)["mahalanobis"], expected, rtol=1e-3)


def test_the_pca_residual_is_the_reconstruction_error_of_the_components(tmp_path: Path) -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    pca = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full").fit(train)
    expected = ((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitted(tmp_path, train, rows)["pca_residual"], expected, rtol=1e-3)


def test_the_isolation_forest_scores_an_outlier_highest(tmp_path: Path) -> None:
    train = correlated(1000)
    rows = np.concatenate([correlated(50, seed=1), train.mean(axis=0, keepdims=True) + 100])
    assert np.argmax(fitted(tmp_path, train, rows)["isolation_forest"]) == 50


def test_the_scores_of_the_isolation_forest_are_those_of_scikit_learn(tmp_path: Path) -> None:
    scorers, rows = fit(tmp_path, correlated(1000)), correlated(5000, seed=1)
    [forest] = [scorer.forest for scorer in scorers if isinstance(scorer, ForestScorer)]
    expected = -forest.score_samples(rows).astype(np.float32)
    np.testing.assert_array_equal(scores_of(scorers, rows)["isolation_forest"], expected)


def test_of_many_rows_evenly_spaced_partitions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values, rows = correlated(1000), correlated(20, seed=1)
    taken = np.concatenate([values[first : first + 100] for first in (0, 400, 800)])
    expected = fitted(tmp_path / "taken", taken, rows, partition_rows=100)
    monkeypatch.setattr(sampling, "READ_ROWS", 300)
    found = fitted(tmp_path / "all", values, rows, partition_rows=100)
    for name, scores in expected.items():
        np.testing.assert_array_equal(found[name], scores, err_msg=name)


def test_single_rows_are_scored_by_what_evenly_spaced_rows_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, rows = correlated(1000), correlated(20, seed=1)
    expected = fitted(tmp_path / "taken", values[::4], rows)
    monkeypatch.setattr(baselines, "SAMPLE_WINDOWS", 250)
    found = fitted(tmp_path / "all", values, rows, partition_rows=90)
    for name in ("z_score", "mahalanobis", "pca_residual", "isolation_forest"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("partition_rows", [1, 7, 1000])
def test_the_partitioning_does_not_matter(tmp_path: Path, partition_rows: int) -> None:
    train, rows = correlated(200), correlated(20, seed=1)
    expected = fitted(tmp_path / "whole", train, rows)
    found = fitted(tmp_path / "cut", train, rows, partition_rows)
    for name, scores in expected.items():
        np.testing.assert_allclose(found[name], scores, rtol=1e-3, err_msg=name)


def test_a_duplicated_channel_does_not_change_the_mahalanobis_distance(tmp_path: Path) -> None:
    train, rows = correlated(1000), correlated(20, seed=1)
    expected = fitted(tmp_path / "once", train, rows)["mahalanobis"]
    doubled, doubled_rows = (np.hstack([values, values[:, :1]]) for values in (train, rows))
    twice = fitted(tmp_path / "twice", doubled, doubled_rows)
    np.testing.assert_allclose(twice["mahalanobis"], expected, rtol=1e-2)


def test_all_baselines_are_fitted_in_one_pass_over_the_training_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = write_dataset(tmp_path, correlated(100), partition_rows=30)
    read, of_partition = [], Dataset.read

    def counted(dataset: Dataset, partition: Partition, *arguments: Any, **options: Any) -> Frame:
        read.append(partition.file)
        return of_partition(dataset, partition, *arguments, **options)

    monkeypatch.setattr(Dataset, "read", counted)
    fit_baselines(train, seed=0, windowing=Windowing(3))
    assert read == [partition.file for partition in train.manifest.partitions]
