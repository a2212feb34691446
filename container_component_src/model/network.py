"""The network of a detector."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Network(nn.Module, ABC):
    """Scores windows of the channels that vary in the training data, and tells how it is trained.

    Parameters whose names end in `log_variance` are trained at a higher learning rate.

    Attributes:
        window_steps: Time steps that the network sees at once, the present one last.
    """

    window_steps: int

    @abstractmethod
    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the contributions of the channels to the scores, and the expected values of the present time step.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].

        Returns:
            Contributions in nats and expected values in scaled units, each [rows, channels].
        """

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

    def initialize(self, windows: Tensor) -> None:
        """Replace random weights by better ones before the training.

        Args:
            windows: Windows of the training data, float32 [rows, window_steps * channels].
        """

    def active_latents(self, blocks: Iterable[Tensor]) -> int | None:
        """Return the number of latents that tell rows apart; None without a latent space.

        Args:
            blocks: Windows of time steps, each [rows, window_steps * channels].
        """
        return None
