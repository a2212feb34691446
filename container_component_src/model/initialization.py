"""Initial weights of the VAE: probabilistic principal component analysis of the training data.

A training that starts there needs fewer steps than one from random weights, and its result hardly depends on the seed;
docs/results.md has the measurements.
"""

import numpy as np
import torch
from torch import Tensor, nn

from container_component_src.arrays import Float32Array
from container_component_src.model.datamodule import read_frame
from container_component_src.model.vae import TimeStampVAE, asinh
from container_component_src.model.windows import Windowing
from container_component_src.telemetry.dataset import Dataset

SAMPLE_ROWS = 20_000  # maximum number of windows
SAMPLE_BYTES = 256 * 2**20  # maximum memory of the windows
SAMPLE_PARTITIONS = 32  # maximum number of partitions to read
_OVERSAMPLING = 10  # of the randomized decomposition, for the precision of its last components
_NETWORK_SHARE = 0.1  # of the usual random weights of the nonlinear layers' outputs, which the linear maps come before


def sample_windows(dataset: Dataset, windowing: Windowing) -> Float32Array:
    """Return evenly spaced windows of a dataset, shape [rows, steps * channels].

    Raises:
        InputError: A value is missing or infinite; the message names its channel and partition.
    """
    partitions = dataset.manifest.partitions
    positions = np.linspace(0, len(partitions) - 1, min(len(partitions), SAMPLE_PARTITIONS)).astype(int)
    chosen = [partitions[position] for position in positions]
    row_bytes = windowing.steps * len(dataset.channels) * np.dtype(np.float32).itemsize
    rows = max(1, min(SAMPLE_ROWS, SAMPLE_BYTES // row_bytes))
    stride = -(-sum(partition.rows for partition in chosen) // rows)
    windows, offset = [], 0
    for partition in chosen:
        frame = read_frame(dataset, partition)
        sampled = np.arange(-offset % stride, len(frame), stride)
        windows.append(windowing.of(frame.values, windowing.starts(frame.timestamps), sampled))
        offset += len(frame)
    return np.concatenate(windows)


@torch.no_grad()
def initialize(model: TimeStampVAE, windows: Tensor) -> None:
    """Set the weights so that the model is nearly the probabilistic PCA of the windows.

    The linear maps, the posterior's variances and the means are those of the maximum likelihood solution (Tipping &
    Bishop 1999, "Probabilistic Principal Component Analysis", equations 7 and 9). Each channel's variance is
    its expected squared error. What the other layers add is small.

    Args:
        model: Network with random weights.
        windows: Windows of the training data, float32 [rows, window_steps * channels].
    """
    latent, dimensions = model.encoder_bypass.weight.shape
    components = min(latent, *windows.shape)
    mean = windows.mean(dim=0)
    centred = windows - mean
    drawn = min(components + _OVERSAMPLING, *windows.shape)
    _, singular_values, directions = torch.pca_lowrank(windows, drawn, niter=4)
    directions, variances = directions[:, :components], singular_values[:components].square() / len(windows)
    rest = (centred.square().mean(dim=0).sum() - variances.sum()) / max(dimensions - components, 1)
    noise = rest.clamp(min=model.variance_floor)
    variances = variances.clamp(min=noise)
    loadings = directions * (variances - noise).sqrt()
    encoding = (loadings / variances).T
    errors = centred - centred @ encoding.T @ loadings.T
    squares = errors.square().mean(dim=0) + loadings.square() @ (noise / variances)
    output, decoded = _output_layer(model.encoder), _output_layer(model.decoder)
    for layer in (output, decoded):
        layer.weight *= _NETWORK_SHARE
    model.encoder_bypass.weight[:components] = encoding
    model.decoder_bypass.weight[:, :components] = loadings
    output.bias.zero_()
    output.bias[:components] = -encoding @ asinh(mean)
    output.bias[latent : latent + components] = (noise / variances).log()
    decoded.bias.copy_(mean)
    channel_squares = squares.view(model.window_steps, -1).mean(dim=0)
    model.log_variance.copy_(channel_squares.clamp(min=model.variance_floor).log())


def _output_layer(network: nn.Sequential) -> nn.Linear:
    layer = network[-1]
    assert isinstance(layer, nn.Linear)  # noqa: S101 - for the type checker
    return layer
