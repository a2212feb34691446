"""What a network tells about its own training."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Network(nn.Module, ABC):
    """Network of a detector. Parameters named `log_variance` are trained at a higher learning rate."""

    @abstractmethod
    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss that the training minimises, as a scalar: a mean over rows.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
            generator: Generator of random samples, if the loss needs them.
        """

    @abstractmethod
    def validation_loss(self, values: Tensor) -> Tensor:
        """Return a deterministic loss of each row, by which epochs and trainings are compared, [rows].

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
        """
