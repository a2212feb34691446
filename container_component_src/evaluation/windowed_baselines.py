"""Classical scorers of windows: each row with those before it, over all channels.

They are fitted on a bounded sample of the training windows.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from threadpoolctl import threadpool_limits

from container_component_src.arrays import Float32Array, IntArray
from container_component_src.evaluation.scikit_learn import PCA, MiniBatchKMeans
from container_component_src.limits import usable_cores

CLUSTERS, BATCH_WINDOWS = 20, 512
EXPLAINED_VARIANCE = 0.9  # share of the variance that the kept principal components explain
MOST_COMPONENTS = 64


@dataclass(frozen=True)
class WindowScorer:
    """Squared distances of a window to the nearest centre of a cluster, and to the space of the principal components.

    They follow from the products of a window with some vectors. These are sums over its rows, so each row is multiplied
    once, although it is in several windows.
    """

    steps: int  # rows of a window
    centres: Float32Array  # [clusters, steps * channels]
    mean: Float32Array  # [steps * channels]
    components: Float32Array  # [components, steps * channels], orthonormal

    def scores(self, values: Float32Array, windows: IntArray) -> dict[str, Float32Array]:
        """Return both scores; see `Scorer`."""
        products = (values @ self._vectors).reshape(len(values), self.steps, -1)
        lengths, found = squared_lengths(values)[windows].sum(axis=1), products[windows[:, 0], 0]
        for step in range(1, self.steps):
            found += products[windows[:, step], step]
        clusters = len(self.centres)
        nearest = lengths + (squared_lengths(self.centres) - 2 * found[:, :clusters]).min(axis=1)
        centred = lengths - 2 * found[:, clusters] + self.mean @ self.mean
        left = centred - squared_lengths(found[:, clusters + 1 :] - self.components @ self.mean)
        return {"windowed_kmeans": np.maximum(nearest, 0), "windowed_pca": np.maximum(left, 0)}

    @cached_property
    def _vectors(self) -> Float32Array:
        """All vectors as factors of a row, [channels, steps * vectors]."""
        vectors = np.concatenate([self.centres, self.mean[np.newaxis], self.components])
        channels = len(self.mean) // self.steps
        return vectors.reshape(len(vectors), self.steps, channels).transpose(2, 1, 0).reshape(channels, -1)


def _fit_in_one_thread(estimator: MiniBatchKMeans | PCA, sample: Float32Array) -> None:
    """Fit an estimator by many small steps, whose threads would wait for each other beside a busy process."""
    with threadpool_limits(1, user_api="openmp"):  # of this thread alone
        estimator.fit(sample)


def squared_lengths(vectors: Float32Array) -> Float32Array:
    """Return the squared length of each vector, [vectors, coordinates]."""
    return np.asarray(np.einsum("ij,ij->i", vectors, vectors))


def fit_windowed_baselines(sample: Float32Array, seed: int, window_steps: int) -> WindowScorer:
    """Fit both baselines on the same training windows, side by side.

    - `windowed_kmeans`: squared distance to the nearest of 20 centres (Yairi, Kato & Hori 2001, "Fault Detection by
      Mining Association Rules from House-keeping Data"), fitted by mini-batches (Sculley 2010, "Web-Scale K-Means
      Clustering");
    - `windowed_pca`: squared prediction error of the principal components, at most 64, that explain 90 % of the
      variance (as dynamic PCA in Ku, Storer & Georgakis 1995, "Disturbance Detection and Isolation by Dynamic Principal
      Component Analysis").

    Args:
        sample: Training windows without missing values, [windows, window_steps * channels].
        seed: Seed of the clusters and of the components.
        window_steps: Rows of a window, with the present one.
    """
    kmeans = MiniBatchKMeans(min(CLUSTERS, len(sample)), batch_size=BATCH_WINDOWS, random_state=seed)
    pca = PCA(min(MOST_COMPONENTS, *sample.shape), random_state=seed)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(_fit_in_one_thread, (kmeans, pca), repeat(sample)))
    explained = np.cumsum(pca.explained_variance_ratio_)
    kept = min(int(np.searchsorted(explained, EXPLAINED_VARIANCE)) + 1, sample.shape[1] - 1)  # something is left
    fitted = (kmeans.cluster_centers_, pca.mean_, pca.components_[:kept])
    return WindowScorer(window_steps, *(array.astype(np.float32) for array in fitted))
