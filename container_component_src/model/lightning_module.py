"""The VAE as Lightning trains it."""

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

__all__ = ["TimeStampVAE", "VAEModule"]


# Log-variances fall by several units while weights move by fractions of one. With equal steps they lag behind the
# errors for thousands of steps, and training stops before the likelihood is what the reconstruction allows.
LOG_VARIANCE_STEPS = 30


class VAEModule(LightningModule):
    """Minimises the negative evidence lower bound per time step.

    `train_loss` is what is minimised: the negative ELBO with this run's beta, at a sample of the latent.
    `val_loss` is the negative ELBO with beta 1, at the latent mean. It draws nothing, so equal weights give equal
    values; and its yardstick is the same for every beta, so trials with different ones compare. The likelihood alone
    would not do: it always prefers a smaller beta and a larger latent space, up to a network that copies its input.

    Both are means over time steps of sums over channels, in nats.

    Args:
        model: The network.
        beta: Weight of the KL divergence.
        lr: Learning rate of Adam in the first epoch; it falls to nearly zero in the last one along half a cosine
            (Loshchilov & Hutter 2017, "SGDR").
        seed: Of the latent samples.
        max_epochs: Epochs at most.
    """

    def __init__(self, model: TimeStampVAE, beta: float, lr: float, seed: int, max_epochs: int) -> None:
        super().__init__()
        # A block of batches per step of Lightning's loop: its cost per step would exceed that of a small batch.
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
        """Adam, with larger steps for the decoder's log-variances than for the weights; all fall epoch by epoch."""
        weights = [parameter for name, parameter in self.model.named_parameters() if name != "log_variance"]
        groups: list[dict[str, Any]] = [
            {"params": weights},
            {"params": [self.model.log_variance], "lr": self._lr * LOG_VARIANCE_STEPS},
        ]
        optimizer = torch.optim.Adam(groups, lr=self._lr, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_fit_start(self) -> None:
        """Give every process latent samples of its own."""
        self._noise = torch.Generator(self.device).manual_seed(self._seed + self.global_rank)

    def training_step(self, block: Block, index: int) -> None:
        """One optimiser step per batch of the block.

        Lightning counts the steps and averages gradients over processes where it is asked to do them. It is for the
        last batch, which in a distributed run is the only one; its hooks for each would cost a tenth of the speed.
        """
        optimizer: Any = self.optimizers()
        *batches, last = block
        losses = [self._step(batch, Tensor.backward, optimizer.optimizer) for batch in batches]
        losses.append(self._step(last, self.manual_backward, optimizer))
        self._train_sums.add(torch.stack(losses).sum(), sum(len(batch) for batch in block))

    def _step(self, batch: Tensor, backward: Callable[[Tensor], None], optimizer: Any) -> Tensor:
        """Step once and return the sum of the losses of the rows."""
        loss = self.model.negative_elbo(batch, self._beta, self._noise).mean()
        optimizer.zero_grad()
        backward(loss)
        optimizer.step()
        return loss.detach() * len(batch)

    def on_train_epoch_end(self) -> None:
        """Lower the learning rate, which Lightning leaves to modules that optimise by themselves."""
        schedule: Any = self.lr_schedulers()
        schedule.step()

    def validation_step(self, rows: Tensor, index: int) -> None:
        """Add up the losses of some rows."""
        self._val_sums.add(self.model.negative_elbo(rows, beta=1.0).double().sum(), len(rows))

    def on_validation_epoch_end(self) -> None:
        """Log the means over the rows of all processes."""
        for sums in (self._train_sums, self._val_sums):
            total = self.trainer.strategy.reduce(sums.take(self.device), reduce_op="sum")
            self.log(sums.name, (total[0] / total[1]).float())


class _Sums:
    """Sum of a loss over rows, and their number."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loss = 0.0
        self._rows = 0

    def add(self, loss: Tensor, rows: int) -> None:
        """Add the loss of some rows, refusing one that would poison the mean."""
        value = float(loss)
        if not math.isfinite(value):
            raise StepError(
                f"{self.name} is not a finite number: the training diverged; lower --lr, or scale the data with "
                "the robust scaler"
            )
        self._loss += value
        self._rows += rows

    def take(self, device: torch.device) -> Tensor:
        """Sum and number of rows as a tensor, and start anew."""
        sums = torch.tensor([self._loss, self._rows], dtype=torch.float64, device=device)
        self._loss, self._rows = 0.0, 0
        return sums
