"""Anomaly scores of time steps: the negative ELBO in nats, a bound of the negative log-likelihood."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from container_component_src.arrays import Float32Array, Timestamps
from container_component_src.model.vae import TimeStampVAE
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.series import Context

_BATCH_ROWS = 16_384  # keeps activations within a few megabytes


@torch.inference_mode()
def score_contributions(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None = None, max_gap_ns: int | None = None
) -> Float32Array:
    """Return the contribution of each channel to the score of each time step.

    Args:
        model: Trained model; its mode and device do not change.
        values: Scaled time steps, [rows, channels].
        timestamps: Shape [rows], for a model of several time steps; without them, each row is scored by itself.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.

    Returns:
        Nats, [rows, channels]; the sum over channels is the score.
    """
    contributions = np.empty(values.shape, dtype=np.float32)
    for rows, batch_contributions, _ in _batches(model, values, timestamps, max_gap_ns):
        contributions[rows] = batch_contributions.cpu().numpy()
    return contributions


@torch.inference_mode()
def contributions_and_reconstruction(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None = None, max_gap_ns: int | None = None
) -> tuple[Float32Array, Float32Array]:
    """Return the contributions of `score_contributions` and the model's reconstruction of the values.

    Args:
        model: Trained model; its mode and device do not change.
        values: Scaled time steps, [rows, channels].
        timestamps: Shape [rows], for a model of several time steps; without them, each row is scored by itself.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.

    Returns:
        Nats and scaled units, each [rows, channels].
    """
    contributions = np.empty(values.shape, dtype=np.float32)
    reconstruction = np.empty(values.shape, dtype=np.float32)
    for rows, batch_contributions, batch_reconstruction in _batches(model, values, timestamps, max_gap_ns):
        contributions[rows] = batch_contributions.cpu().numpy()
        reconstruction[rows] = batch_reconstruction.cpu().numpy()
    return contributions, reconstruction


def scores(model: TimeStampVAE, values: Float32Array) -> Float32Array:
    """Return the score in nats of each time step by itself, [rows]."""
    return np.asarray(score_contributions(model, values).sum(axis=1))


class SeriesScorer:
    """Applies `score_contributions` to consecutive pieces of a dataset; the result does not depend on how it is cut.

    Args:
        model: Trained model.
        max_gap_ns: Longest time step that is not a gap; None: there are no gaps.
    """

    def __init__(self, model: TimeStampVAE, max_gap_ns: int | None) -> None:
        self._model = model
        self._max_gap_ns = max_gap_ns
        self._context: Context[np.float32] = Context(model.window_steps - 1)

    def push(self, timestamps: Timestamps, values: Float32Array) -> Float32Array:
        """Return the contributions of the next rows in nats, [rows, channels].

        Args:
            timestamps: Shape [rows].
            values: Scaled time steps, [rows, channels].
        """
        if self._model.window_steps == 1:
            return score_contributions(self._model, values)
        all_timestamps, all_values, known = self._context.extend(timestamps, values)
        return score_contributions(self._model, all_values, all_timestamps, self._max_gap_ns)[known:]


def _batches(
    model: TimeStampVAE, values: Float32Array, timestamps: Timestamps | None, max_gap_ns: int | None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield rows, contributions and reconstructions of consecutive batches, on the model's device."""
    device, first = model.log_variance.device, 0
    for windows in Windowing(model.window_steps, max_gap_ns).batches(values, timestamps, _BATCH_ROWS):
        rows = slice(first, first + len(windows))
        first += len(windows)
        yield rows, *model(torch.from_numpy(np.ascontiguousarray(windows)).to(device))
