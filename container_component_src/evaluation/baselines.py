"""Classical scorers, fitted on a bounded number of the training rows, that the model is compared with.

Three of them are squared lengths of the centred time step after a linear map, which follows from the mean and the
covariance of the training data. The fourth is an isolation forest on a sample of the rows. Two others score windows of
rows (`windowed_baselines`). One pass over these rows fits them all. Like the published methods, they see varying
channels only, and not those that are constant in the training data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from joblib import Parallel, delayed

from container_component_src.arrays import Float32Array, Float64Array, IntArray
from container_component_src.evaluation.scikit_learn import IsolationForest
from container_component_src.evaluation.windowed_baselines import (
    EXPLAINED_VARIANCE,
    WindowSample,
    fit_windowed_baselines,
)
from container_component_src.limits import usable_cores
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.series import EvenSample

FIT_ROWS = 500_000  # of more training rows, evenly spaced partitions are read
FOREST_ROWS = 50_000  # evenly spaced training rows that the trees sample from
TREES, TREE_ROWS = 100, 256  # defaults of Liu et al. 2008
RELATIVE_RANK_TOLERANCE = 1e-6  # directions with less variance, relative to the largest, are float32 noise
_BATCH_ROWS = 2_048  # what is made of them stays in the processor's cache, see docs/results.md


class Scorer(Protocol):
    """Anomaly scorer; a larger score is more abnormal."""

    @property
    def window_steps(self) -> int:
        """Rows that a score depends on: the present one and those before it."""

    def scores(self, values: Float32Array, /) -> Float32Array:
        """Return a score [rows] for each window of the values [rows, window_steps * channels]."""


@dataclass(frozen=True)
class QuadraticScorer:
    """Squared length of the centred time step after a linear map."""

    mean: Float64Array  # [channels]
    projection: Float64Array  # [channels, coordinates]
    window_steps: int = 1

    def scores(self, values: Float32Array) -> Float32Array:
        """Return a score [rows] for each time step of the values [rows, channels]."""
        mean, projection = self.mean.astype(np.float32), self.projection.astype(np.float32)
        scores = np.empty(len(values), dtype=np.float32)
        for rows in _batches(len(values)):
            coordinates = (values[rows] - mean) @ projection
            scores[rows] = np.einsum("ij,ij->i", coordinates, coordinates)
        return scores


@dataclass(frozen=True)
class ForestScorer:
    """Anomaly score of an isolation forest, between 0 and 1.

    The scores are those of scikit-learn, which sends all rows through one tree after the other. Here a batch goes
    through all trees while it is in the processor's cache.
    """

    forest: IsolationForest
    window_steps: int = 1

    def scores(self, values: Float32Array) -> Float32Array:
        """Return a score [rows] for each time step of the values [rows, channels]."""
        of_batches = Parallel(n_jobs=usable_cores(), prefer="threads")(
            delayed(self._of_batch)(values[rows]) for rows in _batches(len(values))
        )
        return np.concatenate([*of_batches, np.empty(0, dtype=np.float32)])

    def _of_batch(self, values: Float32Array) -> Float32Array:
        length = np.zeros(len(values))  # of the paths through all trees
        for tree, lengths in zip(self.forest.estimators_, self._lengths, strict=True):
            length += lengths[tree.tree_.apply(values)]
        longest = len(self._lengths) * _average_path_length(np.array([self.forest.max_samples_]))
        return np.asarray(2.0 ** (-length / longest), dtype=np.float32)

    @cached_property
    def _lengths(self) -> list[Float64Array]:
        """Expected length of the path to each row in a node, [nodes] for each tree."""
        trees = [tree.tree_ for tree in self.forest.estimators_]
        return [tree.compute_node_depths() - 1.0 + _average_path_length(tree.n_node_samples) for tree in trees]


def fit_baselines(train: Dataset, seed: int, window_steps: int, max_gap_ns: int | None) -> dict[str, Scorer]:
    """Fit all baselines on scaled training data, in one pass over at most about `FIT_ROWS` rows of it.

    - `z_score`: sum of the squared z-scores of the channels;
    - `mahalanobis`: squared Mahalanobis distance from the mean (Mahalanobis 1936);
    - `pca_residual`: squared prediction error of the principal components that explain 90 % of the variance (Jackson &
      Mudholkar 1979, "Control Procedures for Residuals Associated With Principal Component Analysis");
    - `isolation_forest`: Liu, Ting & Zhou 2008, "Isolation Forest";
    - `windowed_kmeans` and `windowed_pca`: see `fit_windowed_baselines`.

    Args:
        train: Scaled training dataset without missing values.
        seed: Seed of the isolation forest and of the windowed baselines.
        window_steps: Rows of a window of the windowed baselines.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """
    train = _bounded(train)
    moments, sample = _Moments(len(train.channels)), []
    windows = WindowSample(train, window_steps, max_gap_ns)
    evenly = EvenSample(train.manifest.rows, FOREST_ROWS)
    for frame in train.frames():
        sample.append(frame.values[evenly.of(len(frame))].copy())
        moments.add(frame)
        windows.add(frame)
    mean, covariance, rows = moments.mean, moments.covariance, np.concatenate(sample)
    variances, directions = np.linalg.eigh(covariance)  # ascending
    full_rank = variances > RELATIVE_RANK_TOLERANCE * variances[-1]
    explained = np.cumsum(variances[::-1]) / variances.sum()
    residual = len(variances) - 1 - int(np.searchsorted(explained, EXPLAINED_VARIANCE))
    channel_variances = np.diag(covariance)
    varying = np.flatnonzero(channel_variances > RELATIVE_RANK_TOLERANCE * channel_variances.max())
    forest = IsolationForest(
        n_estimators=TREES, max_samples=min(TREE_ROWS, len(rows)), random_state=seed, n_jobs=usable_cores()
    )
    z_scores = np.eye(len(mean))[:, varying] / np.sqrt(channel_variances[varying])
    return {
        "z_score": QuadraticScorer(mean, z_scores),
        "mahalanobis": QuadraticScorer(mean, directions[:, full_rank] / np.sqrt(variances[full_rank])),
        "pca_residual": QuadraticScorer(mean, directions[:, : max(residual, 1)]),
        "isolation_forest": ForestScorer(forest.fit(rows)),
        **fit_windowed_baselines(windows.windows(), seed, window_steps),
    }


class _Moments:
    """Mean and covariance of rows that are given in pieces.

    Batches are merged by the pairwise update of Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample
    Variance".

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels: int) -> None:
        self.mean = np.zeros(channels)
        self._products, self._count = np.zeros((channels, channels)), 0

    def add(self, frame: Frame) -> None:
        """Take the next rows."""
        for rows in _batches(len(frame)):
            values = frame.values[rows].astype(np.float64)
            mean = values.mean(axis=0)
            values -= mean
            shift, total = mean - self.mean, self._count + len(values)
            self._products += values.T @ values + np.outer(shift, shift) * (self._count * len(values) / total)
            self.mean += shift * (len(values) / total)
            self._count = total

    @property
    def covariance(self) -> Float64Array:
        """Covariance of the rows so far, [channels, channels]."""
        return self._products / self._count


def _bounded(train: Dataset) -> Dataset:
    """Return every n-th partition of a dataset, which is read at a cost of its own whatever is taken of its rows."""
    partitions = train.manifest.partitions[:: -(-train.manifest.rows // FIT_ROWS)]
    return replace(train, manifest=train.manifest.model_copy(update={"partitions": partitions}))


def _average_path_length(rows: IntArray) -> Float64Array:
    """Return the average length of an unsuccessful search in a binary tree of so many rows (Liu et al. 2008, eq. 1)."""
    several = np.maximum(rows, 3)
    lengths = 2 * (np.log(several - 1.0) + np.euler_gamma) - 2 * (several - 1.0) / several
    return np.where(rows > 2, lengths, np.maximum(rows - 1.0, 0))


def _batches(rows: int) -> Iterator[slice]:
    return (slice(first, first + _BATCH_ROWS) for first in range(0, rows, _BATCH_ROWS))
