from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from container_component_src.errors import StepError
from container_component_src.model.lightning_module import TrainingModule
from container_component_src.model.network import Network


class _Identity(Network):
    """Network whose losses are its input."""

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        return values, values

    def training_loss(self, values: Tensor, generator: torch.Generator) -> Tensor:
        return values.mean()

    def validation_loss(self, values: Tensor) -> Tensor:
        return values[:, 0]


class _Strategy:
    """What one process sees of a distributed run with a second one of given losses."""

    def __init__(self, other: list[float]) -> None:
        self.other = torch.tensor(other)

    def reduce(self, value: Tensor, reduce_op: str) -> Tensor:
        return value if reduce_op == "sum" else torch.maximum(value, torch.tensor(len(self.other)))

    def all_gather(self, padded: Tensor) -> Tensor:
        other = torch.full_like(padded, torch.nan)
        other[: len(self.other)] = self.other
        return torch.stack([padded, other])


def losses(own: list[list[float]], other: list[float]) -> dict[str, float]:
    """Return what is logged after validation blocks of this process, beside another process."""
    module, logged = TrainingModule(_Identity(), lr=0.1, seed=0, max_epochs=1), {}
    module._train_losses = [(torch.tensor(6.0), 2), (torch.tensor(3.0), 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "trainer", SimpleNamespace(strategy=_Strategy(other)))
        patch.setattr(module, "log", lambda name, value: logged.update({name: float(value)}))
        for index, block in enumerate(own):
            module.validation_step(torch.tensor(block).reshape(-1, 1), index)
        module.on_validation_epoch_end()
    return logged


def test_validation_loss_is_the_median_over_the_rows_of_all_processes() -> None:
    """The median of 1, 2, 3, 7, 1000; those of the two processes are 2 and 503.5."""
    assert losses([[3.0, 1.0], [2.0]], [7.0, 1000.0]) == {"train_loss": 3.0, "val_loss": 3.0}
    assert losses([[5.0]], [1.0, 2.0, 9.0])["val_loss"] == 3.5  # two rows in the middle
    assert losses([[5.0, 6.0]], [])["val_loss"] == 5.5
    assert losses([], [5.0, 6.0])["val_loss"] == 5.5  # as of a set with fewer blocks than processes


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_of_a_row_that_is_not_finite_ends_the_training(bad: float) -> None:
    with pytest.raises(StepError, match="val_loss is not a finite number"):
        losses([[1.0, bad, 2.0]], [])
