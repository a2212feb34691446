"""Parts that networks have in common."""

import math

import numpy as np
import torch
from numpy.lib.introspect import opt_func_info
from torch import Tensor, nn


def perceptron(inputs: int, first: int, second: int, outputs: int) -> nn.Sequential:
    """Return a network with two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outputs)
    )


def output_layer(network: nn.Sequential) -> nn.Linear:
    """Return the last layer of a network of `perceptron`."""
    layer = network[-1]
    assert isinstance(layer, nn.Linear)  # noqa: S101 - for the type checker
    return layer


def asinh(values: Tensor) -> Tensor:
    """Return the inverse hyperbolic sine; the shape is kept.

    On a CPU, PyTorch computes number by number. NumPy has vector instructions for it on processors with AVX-512, which
    take a tenth of the time of the formula below, and that a fifth of the time of `torch.asinh`.
    """
    if values.is_cuda:
        return torch.asinh(values)
    if _IN_VECTORS and not values.requires_grad:
        return torch.from_numpy(np.arcsinh(values.numpy()))
    size = values.abs()
    return torch.log1p(size + size * (size / (size.hypot(size.new_ones(())) + 1))).copysign(values)


def _in_vectors() -> bool:
    """Return whether NumPy has vector instructions of this processor for the inverse hyperbolic sine of float32."""
    found = opt_func_info("^arcsinh$").get("arcsinh", {}).get("ff", {})
    return not found.get("current", "baseline").startswith("baseline")


_IN_VECTORS = _in_vectors()


def gaussian_nats(squares: Tensor, variance: Tensor) -> Tensor:
    """Return negative log-likelihoods under Gaussians in nats, in the shape of the squares.

    Args:
        squares: Squared deviations from the mean, [..., channels].
        variance: Shape [channels].
    """
    return 0.5 * (squares / variance + (variance.log() + math.log(2 * math.pi)))
