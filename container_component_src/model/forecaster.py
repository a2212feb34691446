"""The forecaster of time steps."""

import torch
from torch import Tensor, nn

from container_component_src.model.layers import asinh, gaussian_nats, output_layer, perceptron
from container_component_src.model.network import Network


class Forecaster(Network):
    """Predicts a time step from those before it, with a Gaussian whose variance is learned for each channel.

    A linear map is added to the output of the network, and starts at zero, as in the VAE: alone it is a vector
    autoregression. The network receives asinh of the values, which compresses outliers.

    After a gap, and at the start of the data, copies of the first row stand in for the rows before it.

    Args:
        channels: Number of values of a time step.
        hidden_dims: Sizes of the hidden layers.
        variance_floor: Minimum variance of a channel, so that a nearly constant channel does not dominate the score.
        window_steps: Number of time steps of a window, the predicted one last; at least 2.
    """

    def __init__(
        self, channels: int, hidden_dims: tuple[int, int], variance_floor: float = 1e-4, window_steps: int = 5
    ) -> None:
        super().__init__()
        inputs = (window_steps - 1) * channels
        self.channels = channels
        self.variance_floor = variance_floor
        self.window_steps = window_steps
        self.network = perceptron(inputs, *hidden_dims, channels)
        self.bypass = nn.Linear(inputs, channels, bias=False)
        last = output_layer(self.network)
        for weight in (self.bypass.weight, last.weight, last.bias):
            nn.init.zeros_(weight)
        self.log_variance = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the contributions of the channels to the scores, and the prediction of the present time step.

        A contribution is the negative log-likelihood of the channel.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].

        Returns:
            Contributions in nats and prediction in scaled units, each [rows, channels].
        """
        past, present = asinh(values[:, : -self.channels]), values[:, -self.channels :]
        prediction: Tensor = self.network(past) + self.bypass(past)
        variance = self.log_variance.exp() + self.variance_floor
        return gaussian_nats((present - prediction).square(), variance), prediction

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean of `validation_loss` over the rows, as a scalar; nothing is sampled."""
        return self.validation_loss(values).mean()

    def validation_loss(self, values: Tensor) -> Tensor:
        """Return the negative log-likelihood in nats per time step, [rows].

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
        """
        contributions, _ = self.forward(values)
        return contributions.sum(dim=-1)
