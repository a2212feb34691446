"""Parts that networks have in common."""

import math

import torch
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
    """Return the inverse hyperbolic sine, on a CPU in a fifth of the time of `torch.asinh`; the shape is kept."""
    if values.is_cuda:
        return torch.asinh(values)
    size = values.abs()
    return torch.log1p(size + size * (size / (size.hypot(size.new_ones(())) + 1))).copysign(values)


def gaussian_nats(squares: Tensor, variance: Tensor) -> Tensor:
    """Return negative log-likelihoods under Gaussians in nats, in the shape of the squares.

    Args:
        squares: Squared deviations from the mean, [..., channels].
        variance: Shape [channels].
    """
    return 0.5 * (squares / variance + (variance.log() + math.log(2 * math.pi)))
