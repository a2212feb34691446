"""The variational autoencoder of time steps."""

import math

import torch
from torch import Tensor, nn

_LOG_VARIANCE_RANGE = (-20.0, 10.0)  # of the approximate posterior; keeps its exponential finite


class TimeStampVAE(nn.Module):
    """Variational autoencoder with a Gaussian decoder (Kingma & Welling 2014, "Auto-Encoding Variational Bayes").

    The decoder's variance is learned per channel (Rybkin et al. 2021, "Simple and Effective VAE Training with
    Calibrated Decoders"), so likelihoods are in nats, and what beta means does not depend on the scale of the data.
    Linear maps run beside both networks, from zero on: physics of many channels is mostly linear, and what remains for
    the layers is the rest (alone they would be probabilistic PCA, Tipping & Bishop 1999). The encoder sees values
    through asinh, which bends only outliers: it does not extrapolate far beyond what it knows.

    A model of several time steps reconstructs the whole window. Its likelihood is that of the window by its steps: nats
    per time step, as for one.

    Args:
        channels: Values of a time step.
        latent_dim: Size of the latent space.
        hidden_dims: Sizes of the encoder's hidden layers; the decoder has them in reverse.
        variance_floor: Least variance of a channel, so that one that hardly varies does not take over the score.
        window_steps: Time steps that the model sees at once, the present one last.
    """

    def __init__(
        self,
        channels: int,
        latent_dim: int,
        hidden_dims: tuple[int, int],
        variance_floor: float = 1e-4,
        window_steps: int = 1,
    ) -> None:
        super().__init__()
        first, second = hidden_dims
        inputs = window_steps * channels
        self.variance_floor = variance_floor
        self.window_steps = window_steps
        self.encoder = nn.Sequential(
            nn.Linear(inputs, first),
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
            nn.Linear(first, inputs),
        )
        self.encoder_bypass = nn.Linear(inputs, latent_dim, bias=False)
        self.decoder_bypass = nn.Linear(latent_dim, inputs, bias=False)
        for bypass in (self.encoder_bypass, self.decoder_bypass):
            nn.init.zeros_(bypass.weight)
        self.log_variance = nn.Parameter(torch.zeros(channels))

    def encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the approximate posterior, each [rows, latent_dim]."""
        bent = bend(values)
        mean, log_variance = self.encoder(bent).chunk(2, dim=-1)
        return mean + self.encoder_bypass(bent), log_variance.clamp(*_LOG_VARIANCE_RANGE)

    def decode(self, latent: Tensor) -> Tensor:
        """Mean of the decoder's Gaussian, [rows, window_steps * channels]."""
        expected: Tensor = self.decoder(latent) + self.decoder_bypass(latent)
        return expected

    def variance(self) -> Tensor:
        """Variance of the decoder's Gaussian, [channels]."""
        return self.log_variance.exp() + self.variance_floor

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Score parts, and reconstruction of the present time step, at the latent mean.

        The parts of a row sum to its negative ELBO, a bound on its negative log-likelihood. The KL divergence in it,
        which says how unusual the latent is, belongs to no channel and is shared among them.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].

        Returns:
            Both [rows, channels].
        """
        mean, log_variance = self.encode(values)
        expected = self.decode(mean)
        shared = kl_divergence(mean, log_variance) / values.shape[-1]
        parts = self._nll_contributions(expected, values) + shared.unsqueeze(-1)
        return parts, expected[:, -parts.shape[-1] :]

    def _nll_contributions(self, expected: Tensor, values: Tensor) -> Tensor:
        """Negative log-likelihood in nats given the decoder's mean, mean over the window: [rows, channels]."""
        variance = self.variance()
        squares: Tensor = (values - expected).square()
        if self.window_steps > 1:  # the mean over a single step would copy it
            squares = squares.view(len(values), self.window_steps, -1).mean(dim=1)
        return 0.5 * (squares / variance + (variance.log() + math.log(2 * math.pi)))

    def negative_elbo(self, values: Tensor, beta: float, generator: torch.Generator | None = None) -> Tensor:
        """Negative evidence lower bound per time step in nats, summed over channels: [rows].

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
            beta: Weight of the KL divergence (Higgins et al. 2017, "beta-VAE").
            generator: Source of the latent sample; without one the latent mean takes its place.
        """
        mean, log_variance = self.encode(values)
        latent = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            latent = mean + noise * (0.5 * log_variance).exp()
        divergence = kl_divergence(mean, log_variance) / self.window_steps
        return self._nll_contributions(self.decode(latent), values).sum(dim=-1) + beta * divergence


def bend(values: Tensor) -> Tensor:
    """The inverse hyperbolic sine, on a CPU in a fifth of the time that PyTorch's own takes."""
    size = values.abs()
    return torch.log1p(size + size * (size / (size.hypot(size.new_ones(())) + 1))).copysign(values)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of diagonal Gaussians [rows, latent_dim] from the standard normal distribution, in nats: [rows]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
