"""The variational autoencoder of single time steps."""

import math

import torch
from torch import Tensor, nn

_LOG_VARIANCE_RANGE = (-20.0, 10.0)  # of the approximate posterior; keeps its exponential finite


class TimeStampVAE(nn.Module):
    """Variational autoencoder with a Gaussian decoder (Kingma & Welling 2014, "Auto-Encoding Variational Bayes").

    The decoder's variance is learned per channel (Rybkin et al. 2021, "Simple and Effective VAE Training with
    Calibrated Decoders"), so likelihoods are in nats, and what beta means does not depend on the scale of the data.

    Args:
        channels: Values of a time step.
        latent_dim: Size of the latent space.
        hidden_dims: Sizes of the encoder's hidden layers; the decoder has them in reverse.
        variance_floor: Least variance of a channel, so that one that hardly varies does not take over the score.
    """

    def __init__(
        self, channels: int, latent_dim: int, hidden_dims: tuple[int, int], variance_floor: float = 1e-4
    ) -> None:
        super().__init__()
        first, second = hidden_dims
        self.variance_floor = variance_floor
        self.encoder = nn.Sequential(
            nn.Linear(channels, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, second),
            nn.ReLU(),
            nn.Linear(second, first),
            nn.ReLU(),
            nn.Linear(first, channels),
        )
        self.log_variance = nn.Parameter(torch.zeros(channels))

    def encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the approximate posterior, each [rows, latent_dim]."""
        mean, log_variance = self.encoder(values).chunk(2, dim=-1)
        return mean, log_variance.clamp(*_LOG_VARIANCE_RANGE)

    def variance(self) -> Tensor:
        """Variance of the decoder's Gaussian, [channels]."""
        return self.log_variance.exp() + self.variance_floor

    def forward(self, values: Tensor) -> Tensor:
        """Reconstruction at the latent mean, [rows, channels]."""
        reconstruction: Tensor = self.decoder(self.encode(values)[0])
        return reconstruction

    def nll_parts(self, values: Tensor, latent: Tensor) -> Tensor:
        """Negative log-likelihood in nats given the latent, per channel: [rows, channels]."""
        return self.nll_around(self.decoder(latent), values)

    def nll_around(self, expected: Tensor, values: Tensor) -> Tensor:
        """Negative log-likelihood in nats given the decoder's mean, per channel: [rows, channels]."""
        variance = self.variance()
        return 0.5 * ((values - expected).square() / variance + (variance.log() + math.log(2 * math.pi)))

    def negative_elbo(self, values: Tensor, beta: float, generator: torch.Generator | None = None) -> Tensor:
        """Negative evidence lower bound per row in nats, summed over channels: [rows].

        Args:
            values: Time steps, [rows, channels].
            beta: Weight of the KL divergence (Higgins et al. 2017, "beta-VAE").
            generator: Source of the latent sample; without one the latent mean takes its place.
        """
        mean, log_variance = self.encode(values)
        latent = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            latent = mean + noise * (0.5 * log_variance).exp()
        return self.nll_parts(values, latent).sum(dim=-1) + beta * kl_divergence(mean, log_variance)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of diagonal Gaussians [rows, latent_dim] from the standard normal distribution, in nats: [rows]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
