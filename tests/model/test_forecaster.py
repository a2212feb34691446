import math

import numpy as np
import torch

from container_component_src.model.forecaster import Forecaster

CHANNELS, STEPS = 3, 4


def make_model() -> Forecaster:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Forecaster(CHANNELS, (7, 4), variance_floor=0.01, window_steps=STEPS)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model.double().eval()


def make_windows(rows: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((rows, STEPS * CHANNELS)))


def test_contributions_are_negative_log_likelihoods_of_the_prediction() -> None:
    model, windows = make_model(), make_windows(6)
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    past, present = np.arcsinh(windows.numpy()[:, :-CHANNELS]), windows.numpy()[:, -CHANNELS:]
    hidden = past
    for index in (0, 2):
        hidden = np.maximum(hidden @ weights[f"network.{index}.weight"].T + weights[f"network.{index}.bias"], 0)
    wanted = hidden @ weights["network.4.weight"].T + weights["network.4.bias"] + past @ weights["bypass.weight"].T
    variance = np.exp(weights["log_variance"]) + 0.01
    nats = -np.log(np.exp(-((present - wanted) ** 2) / (2 * variance)) / np.sqrt(2 * math.pi * variance))
    with torch.no_grad():
        contributions, prediction = model(windows)
        np.testing.assert_allclose(prediction.numpy(), wanted, rtol=1e-12)
        np.testing.assert_allclose(contributions.numpy(), nats, rtol=1e-9)
        np.testing.assert_allclose(model.validation_loss(windows).numpy(), nats.sum(axis=1), rtol=1e-9)
        assert float(model.training_loss(windows, torch.Generator())) == np.float64(nats.sum(axis=1).mean())


def test_the_prediction_does_not_see_the_present() -> None:
    model, windows = make_model(), make_windows(6)
    changed = windows.clone()
    changed[:, -CHANNELS:] += 100
    with torch.no_grad():
        torch.testing.assert_close(model(changed)[1], model(windows)[1], rtol=0, atol=0)


def test_an_untrained_forecaster_expects_the_centre_of_every_channel() -> None:
    assert not Forecaster(CHANNELS, (7, 4), window_steps=STEPS)(make_windows(6).float())[1].any()
