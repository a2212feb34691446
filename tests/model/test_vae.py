import math

import numpy as np
import pytest
import torch

from container_component_src.model import layers, vae
from container_component_src.model.layers import asinh
from container_component_src.model.vae import TimeStampVAE, kl_divergence

CHANNELS, LATENT = 5, 2


def make_model() -> TimeStampVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = TimeStampVAE(CHANNELS, LATENT, (7, 4), variance_floor=0.01)
        for parameter in (model.log_variance, model.encoder_bypass.weight, model.decoder_bypass.weight):
            torch.nn.init.normal_(parameter)
    return model.double()


def make_rows(rows: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((rows, CHANNELS)))


def elbo_by_hand(model: TimeStampVAE, rows: torch.Tensor, beta: float, noise: np.ndarray) -> np.ndarray:
    """Return the negative ELBO by its definition, in NumPy."""
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}

    def layers(network: str, values: np.ndarray) -> np.ndarray:
        for index in (0, 2, 4):
            values = values @ weights[f"{network}.{index}.weight"].T + weights[f"{network}.{index}.bias"]
            values = np.maximum(values, 0) if index < 4 else values
        return values

    x = rows.numpy()
    compressed = np.arcsinh(x)
    encoded = layers("encoder", compressed)
    mean, log_variance = encoded[:, :LATENT] + compressed @ weights["encoder_bypass.weight"].T, encoded[:, LATENT:]
    latent = mean + noise * np.exp(log_variance / 2)
    reconstruction = layers("decoder", latent) + latent @ weights["decoder_bypass.weight"].T
    variance = np.exp(weights["log_variance"]) + 0.01
    densities = np.exp(-((x - reconstruction) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    kl = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1)
    return np.asarray(-np.log(densities).sum(axis=1) + beta * kl)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_elbo_equals_its_definition(beta: float) -> None:
    model, rows = make_model(), make_rows(6)
    with torch.no_grad():
        sampled = model.negative_elbo(rows, beta, torch.Generator().manual_seed(8)).numpy()
        at_mean = model.negative_elbo(rows, beta).numpy()
    noise = torch.randn(6, LATENT, generator=torch.Generator().manual_seed(8), dtype=torch.float64).numpy()
    np.testing.assert_allclose(sampled, elbo_by_hand(model, rows, beta, noise), rtol=1e-12)
    np.testing.assert_allclose(at_mean, elbo_by_hand(model, rows, beta, np.zeros((6, LATENT))), rtol=1e-12)


@pytest.mark.parametrize("in_vectors", [True, False])
def test_asinh_of_any_value(in_vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_IN_VECTORS", in_vectors)
    sizes = np.concatenate([[0.0], np.logspace(-30, 38, 200)])
    values = np.concatenate([sizes, -sizes]).astype(np.float32)
    expected = np.arcsinh(values.astype(np.float64))
    np.testing.assert_allclose(asinh(torch.from_numpy(values)).numpy(), expected, rtol=1e-6)
    inputs = torch.tensor([0.5, -3.0], requires_grad=True)
    (slopes,) = torch.autograd.grad(asinh(inputs).sum(), inputs)
    np.testing.assert_allclose(slopes.numpy(), 1 / np.sqrt(np.array([0.5, 3.0]) ** 2 + 1), rtol=1e-6)


def test_contributions_sum_to_the_elbo_and_share_its_kl_divergence() -> None:
    model, rows = make_model(), make_rows(6)
    with torch.no_grad():
        contributions, reconstruction = model(rows)
        mean, log_variance = model.encode(rows)
        densities = torch.distributions.Normal(reconstruction, model.variance().sqrt()).log_prob(rows)
        torch.testing.assert_close(contributions.sum(dim=1), model.negative_elbo(rows, beta=1.0))
        torch.testing.assert_close(reconstruction, model.decode(mean))
        shared = kl_divergence(mean, log_variance)[:, None] / CHANNELS
        torch.testing.assert_close(contributions + densities, shared.expand_as(contributions))


def test_linear_maps_of_an_untrained_network_are_zero() -> None:
    model, rows = TimeStampVAE(CHANNELS, LATENT, (7, 4)).double(), make_rows(6)
    with torch.no_grad():
        torch.testing.assert_close(
            model.decode(model.encode(rows)[0]), model.decoder(model.encoder(rows.asinh())[:, :LATENT])
        )


def test_effect_of_beta_does_not_depend_on_the_batch_size() -> None:
    """The gradient of a batch that repeats its rows equals that of the rows, for any weight of the KL divergence."""
    rows = make_rows(4)
    gradients = []
    for batch in (rows, rows.repeat(16, 1)):
        model = make_model()
        model.negative_elbo(batch, 3.0).mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for small, large in zip(*gradients, strict=True):
        torch.testing.assert_close(small, large)


def test_kl_divergence_of_gaussians() -> None:
    kl = kl_divergence(torch.tensor([[0.0, 0.0], [1.0, -2.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    torch.testing.assert_close(kl, torch.tensor([0.0, 0.5 * (1 + 4 + np.e - 2)]))


def test_variance_has_a_floor() -> None:
    model = make_model()
    model.log_variance.data.fill_(-100.0)
    torch.testing.assert_close(model.variance(), torch.full((CHANNELS,), 0.01, dtype=torch.float64))


def test_far_outliers_have_a_finite_loss() -> None:
    assert torch.isfinite(make_model().negative_elbo(1e6 * make_rows(3), 1.0)).all()


def test_encoder_and_decoder_have_two_hidden_layers() -> None:
    model = TimeStampVAE(CHANNELS, LATENT, (7, 4))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name.endswith("weight")}
    assert list(shapes.values()) == [(7, 5), (4, 7), (4, 4), (4, 2), (7, 4), (5, 7), (2, 5), (5, 2)]
    assert [output.shape for output in model(torch.zeros(3, CHANNELS))] == [(3, CHANNELS)] * 2


def test_losses_are_negative_elbos() -> None:
    model, rows = make_model(), make_rows(6)
    model.beta = 7.0
    with torch.no_grad():
        training = model.training_loss(rows, torch.Generator().manual_seed(8))
        torch.testing.assert_close(training, model.negative_elbo(rows, 7.0, torch.Generator().manual_seed(8)).mean())
        torch.testing.assert_close(model.validation_loss(rows), model.negative_elbo(rows, 1.0))


def test_active_latents_have_a_mean_that_varies_over_rows() -> None:
    """By hand: means with standard deviations 1, 0.11 and 0.09, and a constant one, which only its KL tells apart."""
    model = TimeStampVAE(CHANNELS, 4, (7, 4))
    means = torch.tensor([[1.0, 0.11, 0.09, 5.0], [-1.0, -0.11, -0.09, 5.0]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "encode", lambda rows: (rows, None))
        assert model.active_latents(means.split(1)) == 2
        assert model.active_latents([means.repeat(500, 1)] * 2) == 2


SMALL = 0.01  # for which asinh is the identity


def linear_rows(rows: int) -> torch.Tensor:
    """Return rows of a Gaussian with two strong directions."""
    random = np.random.default_rng(2)
    factors = random.standard_normal((rows, LATENT)) * [5.0, 3.0]
    values = factors @ random.standard_normal((LATENT, CHANNELS)) + 0.5 * random.standard_normal((rows, CHANNELS))
    return torch.from_numpy((SMALL * values).astype(np.float32))


def small_model(latent: int = LATENT, window_steps: int = 1) -> TimeStampVAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return TimeStampVAE(CHANNELS, latent, (8, 4), variance_floor=1e-9, window_steps=window_steps)


def test_elbo_is_the_likelihood_of_a_linear_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "_NETWORK_SHARE", 0.0)
    rows, model = linear_rows(20_000), small_model()
    model.initialize(rows)
    elbo = model.negative_elbo(rows, 1.0, torch.Generator().manual_seed(1)).mean()
    log_determinant = np.linalg.slogdet(np.cov(rows.numpy().T)).logabsdet
    entropy = 0.5 * (CHANNELS * (1 + math.log(2 * math.pi)) + log_determinant)  # of the fitted Gaussian
    assert float(elbo.detach()) == pytest.approx(entropy, abs=0.1)


@pytest.mark.parametrize("window_steps", [1, 3])
def test_more_latents_than_values_are_left_at_the_prior(window_steps: int) -> None:
    values = CHANNELS * window_steps
    model = small_model(latent=values + 5, window_steps=window_steps)
    windows = linear_rows(40 * window_steps).view(40, values)
    model.initialize(windows)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert not model.decoder_bypass.weight[:, values:].any()
