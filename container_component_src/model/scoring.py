"""Scores of time steps: negative log-likelihood in nats by its bound, the negative ELBO; larger = more abnormal."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from container_component_src.model.vae import TimeStampVAE

_ROWS_AT_ONCE = 16_384  # activations stay within a few megabytes


@torch.inference_mode()
def score_parts(model: TimeStampVAE, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What each channel adds to the score of a time step.

    Args:
        model: Trained model; it is left in the mode and on the device where it is.
        values: Scaled time steps, float32 [rows, channels].

    Returns:
        Nats, float32 [rows, channels].
    """
    parts = np.empty(values.shape, dtype=np.float32)
    for rows, batch_parts, _ in _batches(model, values):
        parts[rows] = batch_parts.cpu().numpy()
    return parts


@torch.inference_mode()
def parts_and_expected(
    model: TimeStampVAE, values: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What `score_parts` returns, and what the model expects in place of the values.

    Args:
        model: As there.
        values: As there.

    Returns:
        Nats, and the reconstruction in scaled units, both float32 [rows, channels].
    """
    parts, expected = np.empty(values.shape, dtype=np.float32), np.empty(values.shape, dtype=np.float32)
    for rows, batch_parts, batch_expected in _batches(model, values):
        parts[rows], expected[rows] = batch_parts.cpu().numpy(), batch_expected.cpu().numpy()
    return parts, expected


def scores(model: TimeStampVAE, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Score of each time step in nats, float32 [rows]."""
    return np.asarray(score_parts(model, values).sum(axis=1))


def _batches(model: TimeStampVAE, values: npt.NDArray[np.float32]) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Parts and reconstructions of some rows after the other, on the model's device."""
    device = model.log_variance.device
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        batch = torch.from_numpy(np.ascontiguousarray(values[rows])).to(device)
        yield rows, *model(batch)
