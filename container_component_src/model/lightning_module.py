"""Lightning module that trains a detector's network."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch._prims.rng_prims  # `torch.Generator` needs it, and `lightning_hooks` keeps torch from importing it
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from container_component_src.errors import StepError
from container_component_src.model.datamodule import Block
from container_component_src.model.network import Network
from container_component_src.model.recorded_steps import RecordedSteps, Step

# Log-variances decrease by several units while weights change by fractions of one. At the same learning rate they lag
# behind the reconstruction error for thousands of steps, and training stops early with a worse likelihood.
LOG_VARIANCE_LR_FACTOR = 30


class TrainingModule(LightningModule):
    """Minimises a network's training loss.

    `train_loss` is the minimised loss, as the mean over the training rows. `val_loss` is the median of the network's
    validation loss over the validation rows. Their mean would be that of a few rows: the rarest states, which no
    network learns, can hold most of it, and rise from the first epoch on while all other rows improve.

    Args:
        model: The network.
        lr: Learning rate of Adam in the first epoch; it decreases to almost zero in the last one along half a cosine
            (Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts").
        seed: Seed of the network's samples.
        max_epochs: Maximum number of epochs.
    """

    def __init__(self, model: Network, lr: float, seed: int, max_epochs: int) -> None:
        super().__init__()
        # One step of Lightning's loop takes a block of batches, because it costs more than a step of a small batch.
        self.automatic_optimization = False
        self.model = model
        self._lr = lr
        self._seed = seed
        self._max_epochs = max_epochs
        self._noise = torch.Generator()
        self._plain_step: Step = torch.sum  # without Lightning
        self._recorded = False  # whether plain steps are: on a GPU, unless processes average their gradients
        self._train_losses: list[tuple[Tensor, int]] = []  # sum and number of rows, by block
        self._val_losses: list[Tensor] = []  # of each row, by block

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return Adam with a larger learning rate for log-variances than for weights, and the schedule of both."""
        named, cuda = list(self.model.named_parameters()), self.device.type == "cuda"

        def rate(lr: float) -> float | Tensor:  # recorded steps find it in the memory of the GPU
            return torch.tensor(lr, device=self.device) if cuda else lr

        groups: list[dict[str, Any]] = [
            {
                "params": [parameter for name, parameter in named if not name.endswith("log_variance")],
                "lr": rate(self._lr),
            },
            {
                "params": [parameter for name, parameter in named if name.endswith("log_variance")],
                "lr": rate(self._lr * LOG_VARIANCE_LR_FACTOR),
            },
        ]
        optimizer = torch.optim.Adam(groups, fused=True, capturable=cuda)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_fit_start(self) -> None:
        """Seed the network's samples, differently in each process."""
        self._noise = torch.Generator(self.device).manual_seed(self._seed + self.global_rank)
        optimizer: Any = self.optimizers()
        self._plain_step = partial(self._step, backward=Tensor.backward, optimizer=optimizer.optimizer)
        self._recorded = self.device.type == "cuda" and self.trainer.world_size == 1
        if self._recorded:
            self._plain_step = RecordedSteps(self._plain_step, self._noise)

    def training_step(self, block: Block, index: int) -> None:
        """Take one optimisation step per batch of the block.

        Only the last step goes through Lightning, which counts steps and averages gradients over processes: in a
        distributed run a block has one batch. Lightning's hooks for every step would make training 10 % slower.
        Recorded steps do not go through it, except for one in an epoch, without which it saves no checkpoint.
        """
        *batches, last = block
        losses = [self._plain_step(batch) for batch in batches]
        if self._recorded and index:
            losses.append(self._plain_step(last))
        else:
            losses.append(self._step(last, self.manual_backward, self.optimizers()))
        total = torch.stack(losses).sum()
        if self.device.type == "cpu":  # a GPU would have to wait
            _check_finite("train_loss", total)
        self._train_losses.append((total, sum(len(batch) for batch in block)))

    def _step(self, batch: Tensor, backward: Callable[[Tensor], None], optimizer: Any) -> Tensor:
        """Take one optimisation step and return the sum of the losses of the rows."""
        loss = self.model.training_loss(batch, self._noise)
        optimizer.zero_grad()
        backward(loss)
        optimizer.step()
        return loss.detach() * len(batch)

    def on_train_epoch_end(self) -> None:
        """Update the learning rate, which is not automatic with manual optimisation."""
        schedule: Any = self.lr_schedulers()
        schedule.step()

    def validation_step(self, rows: Tensor, index: int) -> None:
        """Keep the losses of rows, [rows, window_steps * channels], until the end of the epoch."""
        self._val_losses.append(self.model.validation_loss(rows).float())

    def on_validation_epoch_end(self) -> None:
        """Log the mean training loss and the median validation loss over the rows of all processes."""
        totals, rows = zip(*self._train_losses, strict=True)
        total = torch.stack(totals).sum(dtype=torch.float64)
        losses = torch.cat([torch.empty(0, device=self.device), *self._val_losses])
        _check_finite("train_loss", total)
        _check_finite("val_loss", losses.sum(dtype=torch.float64))
        sums = torch.stack([total, total.new_tensor(sum(rows))])
        total, all_rows = self.trainer.strategy.reduce(sums, reduce_op="sum")
        self.log("train_loss", (total / all_rows).float())
        self.log("val_loss", self._median(losses))
        self._train_losses, self._val_losses = [], []

    def _median(self, losses: Tensor) -> Tensor:
        """Return the median over the losses of all processes, [rows of this one]; 4 bytes of memory per row."""
        strategy = self.trainer.strategy
        longest = strategy.reduce(torch.tensor(len(losses), device=self.device), reduce_op="max")
        padded = torch.full((int(longest),), torch.nan, device=self.device)  # equal sizes, which gathering needs
        padded[: len(losses)] = losses
        return torch.tensor(np.nanmedian(strategy.all_gather(padded).cpu().numpy()))


def _check_finite(name: str, loss: Tensor) -> None:
    """Check that a loss is a number.

    Raises:
        StepError: It is infinite or NaN.
    """
    if not math.isfinite(float(loss)):
        raise StepError(
            f"{name} is not a finite number: the training diverged",
            fix="lower --lr, or scale the data with the robust scaler",
        )
