"""Scores of time steps: negative log-likelihood in nats, larger = more abnormal."""

import numpy as np
import numpy.typing as npt
import torch

from container_component_src.model.vae import TimeStampVAE

_ROWS_AT_ONCE = 16_384  # activations stay within a few megabytes


@torch.inference_mode()
def score_parts(model: TimeStampVAE, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Negative log-likelihood at the latent mean per channel; the sum over channels is the score of the time step.

    Args:
        model: Trained model; it is left in the mode and on the device where it is.
        values: Scaled time steps, float32 [rows, channels].

    Returns:
        Nats, float32 [rows, channels].
    """
    parts = np.empty(values.shape, dtype=np.float32)
    device = model.log_variance.device
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        batch = torch.from_numpy(np.ascontiguousarray(values[rows])).to(device)
        parts[rows] = model.nll_parts(batch, model.encode(batch)[0]).cpu().numpy()
    return parts


def scores(model: TimeStampVAE, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Score of each time step in nats, float32 [rows]."""
    return np.asarray(score_parts(model, values).sum(axis=1))
