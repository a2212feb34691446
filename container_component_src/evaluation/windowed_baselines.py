"""Classical scorers of windows: each row with those before it, over all channels.

They are fitted on a bounded sample of the training windows and score in batches, so memory does not grow with the rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from container_component_src.arrays import Float32Array, IntArray
from container_component_src.evaluation.scikit_learn import PCA, MiniBatchKMeans
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.series import Context, EvenSample

CLUSTERS = 20
EXPLAINED_VARIANCE = 0.9  # share of the variance that the kept principal components explain
MOST_COMPONENTS = 64
SAMPLE_WINDOWS, SAMPLE_VALUES = 20_000, 2**25  # evenly spaced training windows; 128 MiB
BATCH_VALUES = 2**22  # of the windows that are scored at once; 16 MiB


class WindowSeries:
    """Windows of the rows of a dataset, which is given in consecutive pieces: each row with those before it.

    The windows are those of `Windowing`. The result does not depend on the pieces.

    Args:
        steps: Rows of a window, with the present one.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """

    def __init__(self, steps: int, max_gap_ns: int | None) -> None:
        self._windowing = Windowing(steps, max_gap_ns)
        self._context: Context[np.float32] = Context(steps - 1)

    def push(self, frame: Frame, rows: IntArray | None = None) -> Iterator[tuple[IntArray, Float32Array]]:
        """Yield rows of the next piece and their windows, [rows, steps * channels], the oldest row first.

        Args:
            frame: The next piece.
            rows: Positions of the wanted rows in it, all by default.
        """
        timestamps, values, known = self._context.extend(frame.timestamps, frame.values)
        wanted = np.arange(len(frame)) if rows is None else rows
        starts = self._windowing.starts(timestamps)
        at_once = max(1, BATCH_VALUES // (self._windowing.steps * values.shape[1]))
        for first in range(0, len(wanted), at_once):
            batch = wanted[first : first + at_once]
            yield batch, self._windowing.of(values, starts, batch + known)


@dataclass(frozen=True)
class KMeansScorer:
    """Squared distance of a window to the nearest centre of a cluster."""

    window_steps: int
    centres: Float32Array  # [clusters, window_steps * channels]

    def scores(self, windows: Float32Array) -> Float32Array:
        """Return a score [rows] for each window [rows, window_steps * channels]."""
        across = np.einsum("ij,ij->i", self.centres, self.centres) - 2 * (windows @ self.centres.T)
        return np.asarray(np.maximum(np.einsum("ij,ij->i", windows, windows) + across.min(axis=1), 0))


@dataclass(frozen=True)
class ResidualScorer:
    """Squared length of what the principal components leave of a window."""

    window_steps: int
    mean: Float32Array  # [window_steps * channels]
    components: Float32Array  # [components, window_steps * channels], orthonormal

    def scores(self, windows: Float32Array) -> Float32Array:
        """Return a score [rows] for each window [rows, window_steps * channels]."""
        centred = windows - self.mean
        kept = centred @ self.components.T
        lengths = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", kept, kept)
        return np.asarray(np.maximum(lengths, 0))


class WindowSample:
    """Evenly spaced windows of a dataset, of which there is a bounded number.

    Args:
        dataset: Dataset whose rows are given in consecutive pieces.
        steps: Rows of a window, with the present one.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """

    def __init__(self, dataset: Dataset, steps: int, max_gap_ns: int | None) -> None:
        most = max(1, min(SAMPLE_WINDOWS, SAMPLE_VALUES // (steps * len(dataset.channels))))
        self._evenly = EvenSample(dataset.manifest.rows, most)
        self._series = WindowSeries(steps, max_gap_ns)
        self._found: list[Float32Array] = []

    def add(self, frame: Frame) -> None:
        """Take the windows of the next piece."""
        rows = np.arange(len(frame))[self._evenly.of(len(frame))]
        self._found += [windows for _, windows in self._series.push(frame, rows)]

    def windows(self) -> Float32Array:
        """Return the windows, [windows, steps * channels]."""
        return np.concatenate(self._found)


def fit_windowed_baselines(
    sample: Float32Array, seed: int, window_steps: int
) -> dict[str, KMeansScorer | ResidualScorer]:
    """Fit both baselines on the same training windows.

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
    kmeans = MiniBatchKMeans(min(CLUSTERS, len(sample)), n_init=3, random_state=seed)
    pca = PCA(min(MOST_COMPONENTS, *sample.shape), random_state=seed)
    with threadpool_limits(1):  # many small products of matrices: beside a busy process, threads wait for each other
        kmeans.fit(sample)
        pca.fit(sample)
    explained = np.cumsum(pca.explained_variance_ratio_)
    kept = min(int(np.searchsorted(explained, EXPLAINED_VARIANCE)) + 1, sample.shape[1] - 1)  # something is left
    return {
        "windowed_kmeans": KMeansScorer(window_steps, kmeans.cluster_centers_.astype(np.float32)),
        "windowed_pca": ResidualScorer(
            window_steps, pca.mean_.astype(np.float32), pca.components_[:kept].astype(np.float32)
        ),
    }
