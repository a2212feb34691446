"""Lower bounds for training and inference: bare loops over tensors in memory."""

from functools import partial

import torch

from benchmarks.floors import seconds_of
from benchmarks.stages import BATCH_SIZE, HIDDEN_DIMS, LATENT_DIM, LEARNING_RATE
from container_component_src.arrays import Float32Array
from container_component_src.model.bundle import Bundle
from container_component_src.model.hardware import useful_threads
from container_component_src.model.vae import TimeStampVAE
from container_component_src.telemetry.dataset import Dataset


def untrained(channels: int) -> TimeStampVAE:
    """Return an untrained network with the sizes of the measured training."""
    torch.manual_seed(0)
    return TimeStampVAE(channels, LATENT_DIM, HIDDEN_DIMS)


def train_bare(model: TimeStampVAE, values: Float32Array, epochs: int, threads: int, fused: bool = False) -> None:
    """Train without a framework: random order, slices and steps, without validation, logs and checks.

    Args:
        model: Untrained network.
        values: Shape [rows, channels].
        epochs: Number of passes over all rows.
        threads: Threads of PyTorch.
        fused: Whether Adam updates all parameters in one kernel.
    """
    torch.set_num_threads(threads)
    rows = torch.from_numpy(values)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=fused)
    noise = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows)).split(BATCH_SIZE):
            loss = model.training_loss(rows[chosen], noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def training_floor(train_uri: str, epochs: int) -> float:
    """Return the seconds of the bare loop over a training set, with the threads of the training."""
    values = Dataset.open(train_uri).load().values
    model = untrained(values.shape[1])
    threads = useful_threads(model, BATCH_SIZE)
    return seconds_of(lambda: train_bare(model, values, epochs, threads))


def inference_floor(bundle_uri: str, *dataset_uris: str) -> float:
    """Return the seconds of scoring the rows of datasets in memory."""
    scorer = Bundle.load(bundle_uri).scorer
    seconds = 0.0
    for uri in dataset_uris:
        for frame in Dataset.open(uri).frames():
            seconds += seconds_of(partial(scorer.contributions, frame.values))
    return seconds
