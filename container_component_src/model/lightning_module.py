"""Lightning module that trains the VAE."""

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from container_component_src.errors import StepError
from container_component_src.model.datamodule import Block
from container_component_src.model.vae import TimeStampVAE

# Log-variances decrease by several units while weights change by fractions of one. At the same learning rate they lag
# behind the reconstruction error for thousands of steps, and training stops early with a worse likelihood.
LOG_VARIANCE_LR_FACTOR = 30


class VAEModule(LightningModule):
    """Minimises the negative evidence lower bound (ELBO) per time step.

    `train_loss` is the minimised loss: the negative ELBO with the beta of the training, at a latent sample.
    `val_loss` is the negative ELBO with beta 1, at the latent mean. It is deterministic and comparable between trials
    with different betas. The likelihood alone would not be comparable: it improves with a smaller beta and a larger
    latent space until the network copies its input.

    Both are in nats: means over time steps of sums over channels.

    Args:
        model: The network.
        beta: Weight of the KL divergence.
        lr: Learning rate of Adam in the first epoch; it decreases to almost zero in the last one along half a cosine
            (Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts").
        seed: Seed of the latent samples.
        max_epochs: Maximum number of epochs.
    """

    def __init__(self, model: TimeStampVAE, beta: float, lr: float, seed: int, max_epochs: int) -> None:
        super().__init__()
        # One step of Lightning's loop takes a block of batches, because it costs more than a step of a small batch.
        self.automatic_optimization = False
        self.model = model
        self._beta = beta
        self._lr = lr
        self._seed = seed
        self._max_epochs = max_epochs
        self._noise = torch.Generator()
        self._train_sums = _Sums("train_loss")
        self._val_sums = _Sums("val_loss")

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return Adam with a larger learning rate for log-variances than for weights, and the schedule of both."""
        weights = [parameter for name, parameter in self.model.named_parameters() if name != "log_variance"]
        groups: list[dict[str, Any]] = [
            {"params": weights},
            {"params": [self.model.log_variance], "lr": self._lr * LOG_VARIANCE_LR_FACTOR},
        ]
        optimizer = torch.optim.Adam(groups, lr=self._lr, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_fit_start(self) -> None:
        """Seed the latent samples, differently in each process."""
        self._noise = torch.Generator(self.device).manual_seed(self._seed + self.global_rank)

    def training_step(self, block: Block, index: int) -> None:
        """Take one optimisation step per batch of the block.

        Only the last step goes through Lightning, which counts steps and averages gradients over processes: in a
        distributed run a block has one batch. Lightning's hooks for every step would make training 10 % slower.
        """
        optimizer: Any = self.optimizers()
        *batches, last = block
        losses = [self._step(batch, Tensor.backward, optimizer.optimizer) for batch in batches]
        losses.append(self._step(last, self.manual_backward, optimizer))
        self._train_sums.add(torch.stack(losses).sum(), sum(len(batch) for batch in block))

    def _step(self, batch: Tensor, backward: Callable[[Tensor], None], optimizer: Any) -> Tensor:
        """Take one optimisation step and return the sum of the losses of the rows."""
        loss = self.model.negative_elbo(batch, self._beta, self._noise).mean()
        optimizer.zero_grad()
        backward(loss)
        optimizer.step()
        return loss.detach() * len(batch)

    def on_train_epoch_end(self) -> None:
        """Update the learning rate, which is not automatic with manual optimisation."""
        schedule: Any = self.lr_schedulers()
        schedule.step()

    def validation_step(self, rows: Tensor, index: int) -> None:
        """Add the losses of rows, [rows, window_steps * channels], to those of the epoch."""
        self._val_sums.add(self.model.negative_elbo(rows, beta=1.0).double().sum(), len(rows))

    def on_validation_epoch_end(self) -> None:
        """Log the mean losses over the rows of all processes."""
        for sums in (self._train_sums, self._val_sums):
            total = self.trainer.strategy.reduce(sums.take(self.device), reduce_op="sum")
            self.log(sums.name, (total[0] / total[1]).float())


class _Sums:
    """Sum of a loss over rows, and the number of rows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loss = 0.0
        self._rows = 0

    def add(self, loss: Tensor, rows: int) -> None:
        """Add the loss of rows.

        Raises:
            StepError: The loss is infinite or NaN.
        """
        value = float(loss)
        if not math.isfinite(value):
            raise StepError(
                f"{self.name} is not a finite number: the training diverged",
                fix="lower --lr, or scale the data with the robust scaler",
            )
        self._loss += value
        self._rows += rows

    def take(self, device: torch.device) -> Tensor:
        """Return sum and number of rows as a tensor [2], and reset both."""
        sums = torch.tensor([self._loss, self._rows], dtype=torch.float64, device=device)
        self._loss, self._rows = 0.0, 0
        return sums
