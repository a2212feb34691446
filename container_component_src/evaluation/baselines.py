"""Classical detectors, fitted on the same training rows, beside which a model has to earn its keep.

Three of them are squared lengths of the centred time step after a linear map, so one pass over the training data, which
gathers mean and covariance, fits them all. The fourth, an isolation forest, draws but few rows for each of its trees.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from container_component_src.arrays import Float32Array
from container_component_src.limits import usable_cores
from container_component_src.telemetry.dataset import Dataset

EXPLAINED_VARIANCE = 0.9  # of the principal components; the residual is what they leave
FOREST_ROWS = 50_000  # evenly spaced training rows that the trees draw from
TREES, TREE_ROWS = 100, 256  # as Liu et al. propose
RELATIVE_RANK_TOLERANCE = 1e-6  # directions with less variance, compared with the largest, are float32's noise
_ROWS_AT_ONCE = 16_384

Matrix = npt.NDArray[np.float64]


class Detector(Protocol):
    """Gives each time step a score, larger = more abnormal."""

    def scores(self, values: Float32Array) -> npt.NDArray[np.float32]:
        """Scores of values [rows, channels], shape [rows]."""


@dataclass(frozen=True)
class QuadraticDetector:
    """Squared length of the centred time step in other coordinates."""

    mean: Matrix  # shape [channels]
    projection: Matrix  # shape [channels, coordinates]

    def scores(self, values: Float32Array) -> npt.NDArray[np.float32]:
        """As the protocol has it."""
        mean, projection = self.mean.astype(np.float32), self.projection.astype(np.float32)
        found = np.empty(len(values), dtype=np.float32)
        for rows in _pieces(len(values)):
            coordinates = (values[rows] - mean) @ projection
            found[rows] = np.einsum("ij,ij->i", coordinates, coordinates)
        return found


@dataclass(frozen=True)
class ForestDetector:
    """How easily random cuts isolate the time step."""

    forest: IsolationForest

    def scores(self, values: Float32Array) -> npt.NDArray[np.float32]:
        """As the protocol has it."""
        return np.asarray(-self.forest.score_samples(values), dtype=np.float32)


def fit_baselines(train: Dataset, seed: int) -> dict[str, Detector]:
    """Fit all baselines on scaled training data in one pass.

    - `z_score`: sum of the squared z-scores of the channels;
    - `mahalanobis`: squared distance from the mean by the covariance (Mahalanobis 1936);
    - `pca_residual`: what the principal components with 90 % of the variance do not explain, the squared prediction
      error (Jackson & Mudholkar 1979, "Control Procedures for Residuals Associated With Principal Component Analysis");
    - `isolation_forest`: Liu, Ting & Zhou 2008, "Isolation Forest".

    Args:
        train: Rows without missing values.
        seed: Of the isolation forest.
    """
    mean, covariance, sample = _summarise(train)
    variances, directions = np.linalg.eigh(covariance)  # ascending
    real = variances > RELATIVE_RANK_TOLERANCE * variances[-1]
    explained = np.cumsum(variances[::-1]) / variances.sum()
    residual = len(variances) - 1 - int(np.searchsorted(explained, EXPLAINED_VARIANCE))
    spread = np.diag(covariance)
    usable = np.flatnonzero(spread > RELATIVE_RANK_TOLERANCE * spread.max())
    forest = IsolationForest(
        n_estimators=TREES, max_samples=min(TREE_ROWS, len(sample)), random_state=seed, n_jobs=usable_cores()
    )
    return {
        "z_score": QuadraticDetector(mean, np.eye(len(spread))[:, usable] / np.sqrt(spread[usable])),
        "mahalanobis": QuadraticDetector(mean, directions[:, real] / np.sqrt(variances[real])),
        "pca_residual": QuadraticDetector(mean, directions[:, : max(residual, 1)]),
        "isolation_forest": ForestDetector(forest.fit(sample)),
    }


def _summarise(train: Dataset) -> tuple[Matrix, Matrix, Float32Array]:
    """Mean, covariance, and a sample of rows; partitions are merged as in `telemetry.scaling.Moments`."""
    channels = len(train.channels)
    mean, products, count, sample = np.zeros(channels), np.zeros((channels, channels)), 0, []
    stride = -(-train.manifest.rows // FOREST_ROWS)
    for frame in train.frames():
        sample.append(frame.values[-count % stride :: stride].copy())
        for rows in _pieces(len(frame)):
            values = frame.values[rows].astype(np.float64)
            step = values.mean(axis=0) - mean
            total = count + len(values)
            deviations = values - values.mean(axis=0)
            products += deviations.T @ deviations + np.outer(step, step) * (count * len(values) / total)
            mean += step * (len(values) / total)
            count = total
    return mean, products / count, np.concatenate(sample)


def _pieces(rows: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS_AT_ONCE) for first in range(0, rows, _ROWS_AT_ONCE))
