import torch
from torch import Tensor, nn

from container_component_src.model.ensemble import Ensemble
from container_component_src.model.forecaster import Forecaster
from container_component_src.model.network import Network
from container_component_src.model.vae import TimeStampVAE

CHANNELS, STEPS = 3, 4


class Multiple(Network):
    """Contributes a multiple of the present values, and expects them."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.window_steps = STEPS
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        present = values[:, -CHANNELS:]
        return self.factor * present, present

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        return self.factor * values.mean()

    def validation_loss(self, values: Tensor) -> Tensor:
        return self.factor * values[:, 0]


def make_members() -> dict[str, Network]:
    return {
        "vae": TimeStampVAE(CHANNELS, 2, (7, 4), window_steps=STEPS),
        "forecaster": Forecaster(CHANNELS, (7, 4), window_steps=STEPS),
    }


def test_outputs_are_weighted_means_and_losses_are_sums() -> None:
    ensemble, windows = Ensemble({"a": Multiple(2.0), "b": Multiple(6.0)}), torch.randn(5, STEPS * CHANNELS)
    contributions, expected = ensemble(windows)
    torch.testing.assert_close(contributions, 4 * windows[:, -CHANNELS:])
    torch.testing.assert_close(expected, windows[:, -CHANNELS:])
    ensemble.weights = torch.tensor([0.25, 0.75])
    torch.testing.assert_close(ensemble(windows)[0], 5 * windows[:, -CHANNELS:])
    torch.testing.assert_close(ensemble.training_loss(windows, torch.Generator()), 8 * windows.mean())
    torch.testing.assert_close(ensemble.validation_loss(windows), 8 * windows[:, 0])


def test_a_step_changes_each_member_as_if_it_were_alone() -> None:
    windows = torch.randn(50, STEPS * CHANNELS, generator=torch.Generator().manual_seed(1))
    alone = make_members()
    together = Ensemble(make_members())
    for name, member in together.members().items():
        alone[name].load_state_dict(member.state_dict())
    for network in (together, *alone.values()):
        network.initialize(windows)
    for name, member in together.members().items():  # the initialization is random
        alone[name].load_state_dict(member.state_dict())
    for network in (together, *alone.values()):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        network.training_loss(windows, torch.Generator().manual_seed(7)).backward()
        optimizer.step()
    for name, member in together.members().items():
        torch.testing.assert_close(dict(member.state_dict()), dict(alone[name].state_dict()))


def test_active_latents_are_those_of_the_vae() -> None:
    ensemble, blocks = Ensemble(make_members()), [torch.randn(50, STEPS * CHANNELS)]
    assert ensemble.active_latents(blocks) == ensemble.members()["vae"].active_latents(blocks)
    assert Ensemble({"a": Multiple(1.0)}).active_latents(blocks) is None


def test_weights_are_saved() -> None:
    saved = Ensemble(make_members())
    saved.weights = torch.tensor([0.25, 0.75])
    loaded = Ensemble(make_members())
    loaded.load_state_dict(saved.state_dict())
    windows = torch.randn(5, STEPS * CHANNELS)
    torch.testing.assert_close(loaded(windows), saved(windows))
