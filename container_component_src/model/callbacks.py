"""Lightning callbacks and checkpoint input/output of a training."""

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import safetensors.torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from container_component_src.model.bundle_info import Epoch
from container_component_src.model.hardware import Threads
from container_component_src.progress import Progress


class EpochHistory(Callback):
    """Losses of every epoch, which are also printed in the format of Katib's metrics collector.

    A line is `<RFC 3339 time> <name>=<value>`; the collector sorts the values of a metric by time.

    Args:
        max_epochs: Most epochs of the training.
    """

    def __init__(self, max_epochs: int) -> None:
        self.epochs: list[Epoch] = []
        self._progress = Progress("epoch", max_epochs, all_run=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the losses in all processes, and print them in the first one."""
        metrics = {name: float(trainer.callback_metrics[name]) for name in ("train_loss", "val_loss")}
        self.epochs.append(Epoch(epoch=trainer.current_epoch, **metrics))
        if trainer.is_global_zero:
            now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            for name, value in metrics.items():
                click.echo(f"{now} {name}={value:.9g}")
            self._progress.log(len(self.epochs), f"val_loss {metrics['val_loss']:.6g}")


class ThreadsByLoad(Callback):
    """Lets the number of threads follow the load of the machine between blocks of rows.

    Args:
        threads: The threads.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    def on_train_batch_start(self, *_: object) -> None:
        """Look before a block of batches."""
        self._threads.follow()

    def on_validation_batch_start(self, *_: object) -> None:
        """Look before a block of validation rows."""
        self._threads.follow()


class OwnSigterm(Callback):
    """Keeps the handler of SIGTERM that this process had.

    Lightning's handler sends a message to the other nodes. They wait for this one, or are told to stop too, so that
    both would wait until they are killed.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the handler; Lightning has set its own just before."""
        if threading.current_thread() is threading.main_thread():  # only this one sets handlers
            signal.signal(signal.SIGTERM, self._handler)


class SafetensorsIO(CheckpointIO):
    """Checkpoints with the weights only, in a format without pickle."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write the weights."""
        safetensors.torch.save_file(checkpoint["state_dict"], path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read the weights."""
        return {"state_dict": safetensors.torch.load_file(path)}

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file."""
        Path(path).unlink()
