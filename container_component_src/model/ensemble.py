"""Several networks that score together."""

from collections.abc import Iterable, Mapping
from functools import reduce

import torch
from torch import Tensor, nn

from container_component_src.model.network import Network


class Ensemble(Network):
    """Weighted mean of the scores of its members, which are trained at the same time on the same windows.

    The members share no weights, and Adam scales each weight by itself, so each of them learns as if it were alone.

    Args:
        members: Networks by name, with windows of the same number of time steps.
    """

    weights: Tensor  # float32 [members], which sum to 1

    def __init__(self, members: Mapping[str, Network]) -> None:
        super().__init__()
        self._members = nn.ModuleDict(members)
        self.window_steps = next(iter(members.values())).window_steps
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members)))

    def members(self) -> dict[str, Network]:
        """Return the members by name."""
        return {name: member for name, member in self._members.items() if isinstance(member, Network)}

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted means of the members' contributions and expected values.

        Args:
            values: Windows of time steps, [rows, window_steps * channels].

        Returns:
            Contributions in nats and expected present time step in scaled units, each [rows, channels].
        """
        outputs = [member(values) for member in self.members().values()]
        # A matrix product would round the mean of a row as the number of rows and threads has it.
        contributions, expected = (
            reduce(torch.add, map(torch.mul, kind, self.weights)) for kind in zip(*outputs, strict=True)
        )
        return contributions, expected

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Return the sum of the members' losses, as a scalar."""
        return torch.stack([member.training_loss(values, generator) for member in self.members().values()]).sum()

    def validation_loss(self, values: Tensor) -> Tensor:
        """Return the sum of the members' losses, [rows]."""
        return torch.stack([member.validation_loss(values) for member in self.members().values()]).sum(dim=0)

    def initialize(self, windows: Tensor) -> None:
        """Initialize the members."""
        for member in self.members().values():
            member.initialize(windows)

    def active_latents(self, blocks: Iterable[Tensor]) -> int | None:
        """Return the number of active latents of the first member that has a latent space."""
        counts = (member.active_latents(blocks) for member in self.members().values())
        return next((count for count in counts if count is not None), None)
