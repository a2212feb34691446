"""Classical scorers, fitted on a bounded number of the training rows, that the model is compared with.

Three of them are squared lengths of the centred time step after a linear map, which follows from the mean and the
covariance of training rows. The fourth is an isolation forest. Two others score windows of rows
(`windowed_baselines`). One sample of the training data fits them all. Like the published methods, they see varying
channels only, and not those that are constant in the training data.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from container_component_src.arrays import Float32Array, Float64Array, IntArray
from container_component_src.evaluation.scikit_learn import IsolationForest
from container_component_src.evaluation.windowed_baselines import EXPLAINED_VARIANCE, fit_windowed_baselines
from container_component_src.limits import usable_cores

TREES, TREE_ROWS = 100, 256  # defaults of Liu et al. 2008
RELATIVE_RANK_TOLERANCE = 1e-6  # directions with less variance, relative to the largest, are float32 noise


class Scorer(Protocol):
    """Anomaly scorers that share work; a larger score is more abnormal."""

    def scores(self, values: Float32Array, windows: IntArray, /) -> dict[str, Float32Array]:
        """Return the scores of time steps by scorer, [rows] each.

        Args:
            values: The time steps, after those before them that are in their windows, [all rows, channels].
            windows: Positions of the rows of the window of each time step, itself last, [rows, steps].
        """


@dataclass(frozen=True)
class QuadraticScorer:
    """Squared lengths of the centred time step after linear maps.

    These have the principal axes in common: a score is a weighted sum of the squared coordinates.
    """

    mean: Float32Array  # [channels]
    axes: Float32Array  # [channels, axes]
    of_channels: Mapping[str, Float32Array]  # weights of the squared channels by scorer, [channels]
    of_axes: Mapping[str, Float32Array]  # weights of the squared coordinates by scorer, [axes]

    def scores(self, values: Float32Array, windows: IntArray) -> dict[str, Float32Array]:
        """Return the scores; see `Scorer`."""
        centred = values[len(values) - len(windows) :] - self.mean
        coordinates = centred @ self.axes
        pairs = ((centred, self.of_channels), (coordinates, self.of_axes))
        return {name: np.square(of) @ weight for of, weights in pairs for name, weight in weights.items()}


@dataclass(frozen=True)
class ForestScorer:
    """Anomaly score of an isolation forest, between 0 and 1.

    The scores are those of scikit-learn, which sends all rows through one tree after the other. Here a batch goes
    through all trees while it is in the processor's cache.
    """

    forest: IsolationForest

    def scores(self, values: Float32Array, windows: IntArray) -> dict[str, Float32Array]:
        """Return the score; see `Scorer`."""
        rows, length = values[len(values) - len(windows) :], np.zeros(len(windows))  # of the paths through all trees
        for tree, lengths in zip(self.forest.estimators_, self._lengths, strict=True):
            length += lengths[tree.tree_.apply(rows)]
        longest = len(self._lengths) * _average_path_length(np.array([self.forest.max_samples_]))
        return {"isolation_forest": np.asarray(2.0 ** (-length / longest), dtype=np.float32)}

    @cached_property
    def _lengths(self) -> list[Float64Array]:
        """Expected length of the path to each row in a node, [nodes] for each tree."""
        trees = [tree.tree_ for tree in self.forest.estimators_]
        return [tree.compute_node_depths() - 1.0 + _average_path_length(tree.n_node_samples) for tree in trees]


def fit_baselines(sample: Float32Array, seed: int, window_steps: int) -> list[Scorer]:
    """Fit all baselines on the same windows of scaled training data.

    - `z_score`: sum of the squared z-scores of the channels;
    - `mahalanobis`: squared Mahalanobis distance from the mean (Mahalanobis 1936);
    - `pca_residual`: squared prediction error of the principal components that explain 90 % of the variance (Jackson &
      Mudholkar 1979, "Control Procedures for Residuals Associated With Principal Component Analysis");
    - `isolation_forest`: Liu, Ting & Zhou 2008, "Isolation Forest";
    - `windowed_kmeans` and `windowed_pca`: see `fit_windowed_baselines`.

    Args:
        sample: Training windows without missing values, [windows, window_steps * channels]; scorers of single rows are
            fitted on the last row of each.
        seed: Seed of the isolation forest and of the windowed baselines.
        window_steps: Rows of a window, with the present one.
    """
    rows = np.ascontiguousarray(sample[:, -(sample.shape[1] // window_steps) :])
    forest = IsolationForest(n_estimators=TREES, max_samples=min(TREE_ROWS, len(rows)), random_state=seed)
    with ThreadPoolExecutor(usable_cores()) as pool:
        scorers: list[Future[Scorer]] = [
            pool.submit(_quadratic, rows),
            pool.submit(lambda: ForestScorer(forest.fit(rows))),
            pool.submit(fit_windowed_baselines, sample, seed, window_steps),
        ]
        return [scorer.result() for scorer in scorers]


def _quadratic(rows: Float32Array) -> QuadraticScorer:
    """Fit the scorers that follow from the mean and the covariance of training rows, [rows, channels]."""
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.cov(rows, rowvar=False, bias=True, dtype=np.float64).reshape(len(mean), -1)
    variances, axes = np.linalg.eigh(covariance)  # ascending
    explained = np.cumsum(variances[::-1]) / variances.sum()
    residual = len(variances) - 1 - int(np.searchsorted(explained, EXPLAINED_VARIANCE))
    of_axes = {
        "mahalanobis": _inverse(variances),
        "pca_residual": (np.arange(len(variances)) < max(residual, 1)).astype(np.float32),
    }
    return QuadraticScorer(
        mean.astype(np.float32), axes.astype(np.float32), {"z_score": _inverse(np.diag(covariance))}, of_axes
    )


def _inverse(variances: Float64Array) -> Float32Array:
    """Return the inverses of variances, and 0 for those that are only noise."""
    known = variances > RELATIVE_RANK_TOLERANCE * variances.max()
    return np.divide(1, variances, out=np.zeros(len(variances)), where=known).astype(np.float32)


def _average_path_length(rows: IntArray) -> Float64Array:
    """Return the average length of an unsuccessful search in a binary tree of so many rows (Liu et al. 2008, eq. 1)."""
    several = np.maximum(rows, 3)
    lengths = 2 * (np.log(several - 1.0) + np.euler_gamma) - 2 * (several - 1.0) / several
    return np.where(rows > 2, lengths, np.maximum(rows - 1.0, 0))
