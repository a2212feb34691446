"""The variational autoencoder (VAE) of time steps."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from container_component_src.model.layers import asinh, gaussian_nats, output_layer, perceptron
from container_component_src.model.network import Network

ACTIVE_VARIANCE = 0.01  # of the posterior mean over rows, above which a latent is active
_OVERSAMPLING = 10  # of the randomized decomposition, for the precision of its last components
_NETWORK_SHARE = 0.1  # of the usual random weights of the last nonlinear layers, which the linear maps come before
_LOG_VARIANCE_RANGE = (-20.0, 10.0)  # of the approximate posterior; keeps its exponential finite


class TimeStampVAE(Network):
    """Variational autoencoder with a Gaussian decoder (Kingma & Welling 2013, "Auto-Encoding Variational Bayes").

    The decoder learns one variance per channel (Rybkin et al. 2021, "Simple and Effective VAE Training with Calibrated
    Decoders"). So likelihoods are in nats, and the effect of beta does not depend on the scale of the data.

    Linear maps are added to the outputs of encoder and decoder, and start at zero. Relations between many channels are
    mostly linear, and the layers learn the rest. The linear maps alone are probabilistic PCA (Tipping & Bishop 1999,
    "Probabilistic Principal Component Analysis"). The encoder receives asinh of the values, which compresses outliers
    only: it does not extrapolate far beyond the training data.

    A model of several time steps reconstructs the whole window. Its likelihood is divided by the number of time steps,
    so that it is in nats per time step too.

    Args:
        channels: Number of values of a time step.
        latent_dim: Size of the latent space.
        hidden_dims: Sizes of the hidden layers of the encoder; those of the decoder are reversed.
        variance_floor: Minimum variance of a channel, so that a nearly constant channel does not dominate the score.
        window_steps: Number of time steps that the model sees at once, the present one last.
        beta: Weight of the KL divergence in the loss of the training.
    """

    def __init__(
        self,
        channels: int,
        latent_dim: int,
        hidden_dims: tuple[int, int],
        variance_floor: float = 1e-4,
        window_steps: int = 1,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        first, second = hidden_dims
        inputs = window_steps * channels
        self.variance_floor = variance_floor
        self.window_steps = window_steps
        self.beta = beta
        self.encoder = perceptron(inputs, first, second, 2 * latent_dim)
        self.decoder = perceptron(latent_dim, second, first, inputs)
        self.encoder_bypass = nn.Linear(inputs, latent_dim, bias=False)
        self.decoder_bypass = nn.Linear(latent_dim, inputs, bias=False)
        for bypass in (self.encoder_bypass, self.decoder_bypass):
            nn.init.zeros_(bypass.weight)
        self.log_variance = nn.Parameter(torch.zeros(channels))

    def encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the approximate posterior, each [rows, latent_dim].

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
        """
        compressed = asinh(values)
        mean, log_variance = self.encoder(compressed).chunk(2, dim=-1)
        return mean + self.encoder_bypass(compressed), log_variance.clamp(*_LOG_VARIANCE_RANGE)

    def decode(self, latent: Tensor) -> Tensor:
        """Return the mean of the decoder's Gaussian, [rows, window_steps * channels].

        Args:
            latent: Shape [rows, latent_dim].
        """
        reconstruction: Tensor = self.decoder(latent) + self.decoder_bypass(latent)
        return reconstruction

    def variance(self) -> Tensor:
        """Return the variance of the decoder's Gaussian, [channels]."""
        return self.log_variance.exp() + self.variance_floor

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the contributions of the channels to the scores, and the reconstruction of the present time step.

        Both are at the latent mean. The contributions of a row sum to its negative ELBO in nats, an upper bound of its
        negative log-likelihood. They share the KL divergence equally, because it belongs to no channel.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].

        Returns:
            Contributions in nats and reconstruction in scaled units, each [rows, channels].
        """
        mean, log_variance = self.encode(values)
        reconstruction = self.decode(mean)
        divergence = kl_divergence(mean, log_variance) / values.shape[-1]
        contributions = self._negative_log_likelihood(reconstruction, values) + divergence.unsqueeze(-1)
        return contributions, reconstruction[:, -contributions.shape[-1] :]

    @torch.no_grad()
    def initialize(self, windows: Tensor) -> None:
        """Start from the probabilistic PCA of the windows, of which the training then needs fewer steps.

        The linear maps, the posterior's variances and the means are those of the maximum likelihood solution (Tipping &
        Bishop 1999, "Probabilistic Principal Component Analysis", equations 7 and 9). Each channel's variance is
        its expected squared error. What the other layers add is small.

        Args:
            windows: Windows of the training data, float32 [rows, window_steps * channels].
        """
        latent, dimensions = self.encoder_bypass.weight.shape
        components = min(latent, *windows.shape)
        mean = windows.mean(dim=0)
        centred = windows - mean
        drawn = min(components + _OVERSAMPLING, *windows.shape)
        _, singular_values, directions = torch.pca_lowrank(centred, drawn, center=False, niter=4)
        directions, variances = directions[:, :components], singular_values[:components].square() / len(windows)
        rest = (centred.square().mean(dim=0).sum() - variances.sum()) / max(dimensions - components, 1)
        noise = rest.clamp(min=self.variance_floor)
        variances = variances.clamp(min=noise)
        loadings = directions * (variances - noise).sqrt()
        encoding = (loadings / variances).T
        errors = centred - centred @ encoding.T @ loadings.T
        squares = errors.square().mean(dim=0) + loadings.square() @ (noise / variances)
        output, decoded = output_layer(self.encoder), output_layer(self.decoder)
        for layer in (output, decoded):
            layer.weight *= _NETWORK_SHARE
        self.encoder_bypass.weight[:components] = encoding
        self.decoder_bypass.weight[:, :components] = loadings
        output.bias.zero_()
        output.bias[:components] = -encoding @ asinh(mean)
        output.bias[latent : latent + components] = (noise / variances).log()
        decoded.bias.copy_(mean)
        channel_squares = squares.view(self.window_steps, -1).mean(dim=0)
        self.log_variance.copy_(channel_squares.clamp(min=self.variance_floor).log())

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean negative ELBO at a latent sample, in nats per time step, as a scalar.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
            generator: Generator of the latent sample.
        """
        return self.negative_elbo(values, self.beta, generator).mean()

    def validation_loss(self, values: Tensor) -> Tensor:
        """Return the negative ELBO with beta 1 at the latent mean, in nats per time step, [rows].

        It is deterministic and comparable between trainings with different betas. The likelihood alone would not be
        comparable: it improves with a smaller beta and a larger latent space until the network copies its input.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
        """
        return self.negative_elbo(values, beta=1.0)

    def negative_elbo(self, values: Tensor, beta: float, generator: torch.Generator | None = None) -> Tensor:
        """Return the negative evidence lower bound per time step in nats, summed over channels, [rows].

        Source: Kingma & Welling 2013, equation 3, with a weight of the KL divergence as in Higgins et al. 2017,
        "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework".

        Args:
            values: Windows of time steps, [rows, window_steps * channels].
            beta: Weight of the KL divergence.
            generator: Generator of the latent sample; without one, the latent mean is used.
        """
        mean, log_variance = self.encode(values)
        latent = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            latent = mean + noise * (0.5 * log_variance).exp()
        divergence = kl_divergence(mean, log_variance) / self.window_steps
        return self._negative_log_likelihood(self.decode(latent), values).sum(dim=-1) + beta * divergence

    @torch.no_grad()
    def active_latents(self, blocks: Iterable[Tensor]) -> int:
        """Return the number of latents that tell rows apart: the posterior mean has a variance above 0.01 over rows.

        Source: Burda et al. 2016, "Importance Weighted Autoencoders", section 5.2.

        Args:
            blocks: Windows of time steps, each [rows, window_steps * channels].
        """
        rows = 0
        weight = self.encoder_bypass.weight
        sums = torch.zeros(2, len(weight), dtype=torch.float64, device=weight.device)
        for block in blocks:
            mean = self.encode(block)[0].double()
            rows += len(mean)
            sums += torch.stack([mean.sum(dim=0), mean.square().sum(dim=0)])
        first, second = sums / rows
        return int((second - first.square() > ACTIVE_VARIANCE).sum())

    def _negative_log_likelihood(self, reconstruction: Tensor, values: Tensor) -> Tensor:
        """Return the negative log-likelihood in nats, as the mean over the window, [rows, channels].

        Args:
            reconstruction: Mean of the decoder's Gaussian, [rows, window_steps * channels].
            values: Windows of time steps, [rows, window_steps * channels].
        """
        squares: Tensor = (values - reconstruction).square()
        if self.window_steps > 1:  # the mean over a single step would copy it
            squares = squares.view(len(values), self.window_steps, -1).mean(dim=1)
        return gaussian_nats(squares, self.variance())


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of diagonal Gaussians from the standard normal distribution in nats, [rows].

    Source: Kingma & Welling 2013, appendix B.

    Args:
        mean: Shape [rows, latent_dim].
        log_variance: Shape [rows, latent_dim].
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
