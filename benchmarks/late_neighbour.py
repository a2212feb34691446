"""Speed of a training beside a process that becomes busy after its start: by threads.

Run it alone, on two cores: `GOMP_SPINCOUNT=10000 taskset --cpu-list 0,1 .venv/bin/python -m benchmarks.late_neighbour`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import click
import torch

from benchmarks.loops import epoch_seconds
from benchmarks.stages import HIDDEN_DIMS, LATENT_DIM, LEARNING_RATE
from container_component_src.limits import CpuTimes, left_free, usable_cores
from container_component_src.model.datamodule import Block, Shard, TensorSource
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.training import TrainingArguments

CHANNELS = 181
EPOCH_VALUES = 60_000_000  # of the windows; some seconds
SHAPES = ((1, 1024), (5, 1024), (5, 256))  # time steps of a window, rows of a batch
VARIANTS = {"1 thread": "1", "2 threads": "2", "following": ""}  # OMP_NUM_THREADS
_BUSY = (sys.executable, "-c", "while True: pass")


@dataclass(frozen=True)
class Measured(TensorSource):
    """Rows whose second epoch starts a busy process, if there is to be one."""

    neighbour: bool = False
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    times: list[CpuTimes] = field(default_factory=list)

    def shuffled(self, batch_size: int, seed: int, epoch: int, shard: Shard) -> Iterator[Block]:
        """Yield the batches of an epoch."""
        if not self.times and epoch:
            self.times.append(CpuTimes.now())
            if self.neighbour:
                self.started.append(subprocess.Popen(_BUSY))
        return super().shuffled(batch_size, seed, epoch, shard)


def speed(window_steps: int, batch_size: int, given: str, neighbour: bool, epochs: int) -> tuple[float, float]:
    """Return the rows per second of all epochs but the first, and the cores that other processes left free."""
    os.environ["OMP_NUM_THREADS"] = given
    inputs = window_steps * CHANNELS
    rows = Measured(torch.randn(EPOCH_VALUES // inputs, inputs), neighbour=neighbour)
    arguments = TrainingArguments(
        train_df_path="-", val_df_path="-", model_output_file="-", window_steps=window_steps, batch_size=batch_size,
        latent_dim=LATENT_DIM, hidden_dims=HIDDEN_DIMS, lr=LEARNING_RATE, min_epoch_steps=1,
        max_epochs=epochs, early_stopping_patience=epochs,
    )  # fmt: skip
    model = TimeStampVAE(CHANNELS, LATENT_DIM, HIDDEN_DIMS, window_steps=window_steps)
    try:
        seconds = epoch_seconds(model, rows, TensorSource(rows.values[:1]), arguments)
        free = left_free(rows.times[0], CpuTimes.now(), usable_cores())
    finally:
        for process in rows.started:
            process.kill()
            process.wait()
    return rows.rows * len(seconds) / sum(seconds), free


@click.command()
@click.option("--repeats", default=5, help="Rounds, in each of which all variants take turns.")
@click.option("--epochs", default=5, help="Epochs of a training; a neighbour starts with the second one.")
def main(repeats: int, epochs: int) -> None:
    """Print medians of the speed, and of its ratio to that of one thread in the same round."""
    click.echo("| window, batch | neighbour | threads | rows/s | of one thread | cores that others left free |")
    click.echo("| --- | --- | --- | ---: | ---: | ---: |")
    for shape in SHAPES:
        for neighbour in (False, True):
            rounds = [
                {name: speed(*shape, given, neighbour, epochs) for name, given in VARIANTS.items()}
                for _ in range(repeats)
            ]
            for name in VARIANTS:
                rate, free = (median(values) for values in zip(*(found[name] for found in rounds), strict=True))
                share = median(found[name][0] / found["1 thread"][0] for found in rounds)
                late = "late" if neighbour else "none"
                click.echo(f"| {shape[0]}, {shape[1]} | {late} | {name} | {rate:,.0f} | {share:.2f} | {free:.2f} |")


if __name__ == "__main__":
    main()
