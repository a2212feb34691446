"""Lower bounds for training and inference: bare loops over tensors in memory."""

import io
import re
from contextlib import redirect_stdout
from datetime import datetime
from functools import partial
from itertools import pairwise

import torch

from benchmarks.floors import seconds_of
from benchmarks.stages import BATCH_SIZE, HIDDEN_DIMS, LATENT_DIM, LEARNING_RATE
from container_component_src.arrays import Float32Array
from container_component_src.model.bundle import Bundle
from container_component_src.model.datamodule import RowSource
from container_component_src.model.hardware import useful_threads
from container_component_src.model.network import Network
from container_component_src.model.training import fit
from container_component_src.model.vae import TimeStampVAE
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset

_EPOCH_END = re.compile(r"^(\S+) train_loss=", re.MULTILINE)


def untrained(channels: int) -> TimeStampVAE:
    """Return an untrained network with the sizes of the measured training."""
    torch.manual_seed(0)
    return TimeStampVAE(channels, LATENT_DIM, HIDDEN_DIMS)


def epoch_seconds(network: Network, train: RowSource, val: RowSource, arguments: TrainingArguments) -> list[float]:
    """Return the seconds of each epoch of the training loop but the first, from the times in its log."""
    log = io.StringIO()
    with redirect_stdout(log):
        fit(network, train, val, arguments)
    ends = [datetime.fromisoformat(text) for text in _EPOCH_END.findall(log.getvalue())]
    return [(end - start).total_seconds() for start, end in pairwise(ends)]


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
