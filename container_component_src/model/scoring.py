"""Scores of time steps: negative log-likelihood in nats by its bound, the negative ELBO; larger = more abnormal."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing

_ROWS_AT_ONCE = 16_384  # activations stay within a few megabytes


@torch.inference_mode()
def score_contributions(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None = None, max_gap_ns: int | None = None
) -> Float32Array:
    """What each channel adds to the score of a time step.

    Args:
        model: Trained model; it is left in the mode and on the device where it is.
        values: Scaled time steps, float32 [rows, channels].
        timestamps: Shape [rows], for a model that sees several time steps at once; without them each row is alone.
        max_gap_ns: Longest time step that is not a gap; None where no step is one.

    Returns:
        Nats, float32 [rows, channels].
    """
    parts = np.empty(values.shape, dtype=np.float32)
    for rows, batch_contributions, _ in _batches(model, values, timestamps, max_gap_ns):
        parts[rows] = batch_contributions.cpu().numpy()
    return parts


@torch.inference_mode()
def contributions_and_reconstruction(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None = None, max_gap_ns: int | None = None
) -> tuple[Float32Array, Float32Array]:
    """What `score_contributions` returns, and what the model expects in place of the values.

    Args:
        model: As there.
        values: As there.
        timestamps: As there.
        max_gap_ns: As there.

    Returns:
        Nats, and the reconstruction in scaled units, both float32 [rows, channels].
    """
    parts, expected = np.empty(values.shape, dtype=np.float32), np.empty(values.shape, dtype=np.float32)
    for rows, batch_contributions, batch_expected in _batches(model, values, timestamps, max_gap_ns):
        parts[rows], expected[rows] = batch_contributions.cpu().numpy(), batch_expected.cpu().numpy()
    return parts, expected


def scores(model: TimeStampVAE, values: Float32Array) -> Float32Array:
    """Score in nats of each time step by itself, float32 [rows]."""
    return np.asarray(score_contributions(model, values).sum(axis=1))


class SeriesScorer:
    """Does what `score_contributions` does to a dataset that comes in parts, with the same result however it is cut.

    Args:
        model: Trained model.
        max_gap_ns: Longest time step that is not a gap; None where no step is one.
    """

    def __init__(self, model: TimeStampVAE, max_gap_ns: int | None) -> None:
        self._model = model
        self._max_gap_ns = max_gap_ns
        self._timestamps = np.empty(0, dtype=np.int64)  # the last rows before the next part
        self._values: Float32Array | None = None

    def push(self, timestamps: Timestamps, values: Float32Array) -> Float32Array:
        """Parts of the scores of the next rows, nats, float32 [rows, channels]."""
        context = self._model.window_steps - 1
        if not context:
            return score_contributions(self._model, values)
        known = len(self._timestamps)
        all_timestamps = np.concatenate([self._timestamps, timestamps])
        all_values = values if self._values is None else np.concatenate([self._values, values])
        self._timestamps, self._values = all_timestamps[-context:], all_values[-context:].copy()
        return score_contributions(self._model, all_values, all_timestamps, self._max_gap_ns)[known:]


def _batches(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None, max_gap_ns: int | None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Parts and reconstructions of some rows after the other, on the model's device."""
    device, first = model.log_variance.device, 0
    for windows in Windowing(model.window_steps, max_gap_ns).pieces(values, timestamps, _ROWS_AT_ONCE):
        rows = slice(first, first + len(windows))
        first += len(windows)
        yield rows, *model(torch.from_numpy(np.ascontiguousarray(windows)).to(device))
