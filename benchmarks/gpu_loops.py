"""Training and scoring on a GPU, and bare loops over rows that it holds."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
import torch
from torch import Tensor

from benchmarks.floors import seconds_of
from benchmarks.loops import epoch_seconds
from benchmarks.results import Detail
from container_component_src.model.bundle import build
from container_component_src.model.bundle_info import Architecture
from container_component_src.model.datamodule import RowSource, TensorSource
from container_component_src.model.device_source import CopiedSource, DeviceSource
from container_component_src.model.device_windows import windows_at
from container_component_src.model.network import Network
from container_component_src.model.row_scorer import RowScorer
from container_component_src.steps.training import TrainingArguments

CHANNELS, SIGNALS, NOISE = 181, 20, 0.3
VAL_ROWS, INITIAL_ROWS, SCORED_ROWS = 2_000, 20_000, 65_536
SAMPLED_MILLISECONDS = 100
WARM_UP_STEPS, LEAST_RUNS, MOST_EPOCHS = 3, 3, 50
ARGUMENTS = TrainingArguments(train_df_path="none", val_df_path="none", model_output_file="none")


@dataclass(frozen=True)
class Rows:
    """Rows on a GPU that mix a few signals.

    Attributes:
        source: The rows, which the training draws from.
        windows: Their windows, float32 [rows, channels of a window].
        seconds: Least duration of a measurement.
    """

    source: DeviceSource
    windows: Tensor
    seconds: float

    @classmethod
    def generate(cls, rows: int, seconds: float, device: torch.device) -> "Rows":
        """Return a number of random rows."""
        noise = torch.Generator(device).manual_seed(0)
        signals = torch.randn((rows, SIGNALS), generator=noise, device=device)
        mixing = torch.randn((SIGNALS, CHANNELS), generator=noise, device=device) / SIGNALS**0.5
        values = signals @ mixing + NOISE * torch.randn((rows, CHANNELS), generator=noise, device=device)
        order = torch.from_numpy(np.random.default_rng(0).permutation(rows)).unsqueeze(1)
        starts = torch.zeros(rows, dtype=torch.int64, device=device)
        source = DeviceSource(values, starts, TensorSource(order, device.type == "cuda"), ARGUMENTS.window_steps)
        positions = torch.arange(rows, device=device)
        return cls(source, windows_at(values, starts, positions, source.steps), seconds)

    def network(self) -> Network:
        """Return an untrained network of the default sizes on the CPU."""
        torch.manual_seed(0)
        architecture = Architecture(
            latent_dim=ARGUMENTS.latent_dim,
            hidden_dims=ARGUMENTS.hidden_dims,
            variance_floor=1e-3,
            window_steps=ARGUMENTS.window_steps,
            detector=ARGUMENTS.detector,
        )
        network = build(architecture, CHANNELS)
        network.initialize(self.windows[:INITIAL_ROWS].cpu())
        return network

    def rate(self, run: Callable[[], object]) -> float:
        """Return rows per second: the median of several passes over the rows, after one that allocates."""
        run()
        taken: list[float] = []
        while len(taken) < LEAST_RUNS or sum(taken) < self.seconds:
            taken.append(seconds_of(run))
        return len(self.windows) / median(taken)


def measure(device: torch.device, rows: int, batch_sizes: list[int], seconds: float) -> Iterator[Detail]:
    """Yield all measurements.

    Args:
        device: The GPU.
        rows: Rows to generate.
        batch_sizes: Rows of a step.
        seconds: Least duration of a measurement.
    """
    data, on_gpu = Rows.generate(rows, seconds, device), device.type == "cuda"
    yield from scoring(data, device)
    sources: dict[str, RowSource] = {"rows on the GPU": data.source}
    if on_gpu:
        in_memory = TensorSource(data.windows.cpu(), for_gpu=True)
        sources["rows copied from memory"] = CopiedSource(in_memory, device)
    for size in batch_sizes:
        bare = {
            "bare loop": data.rate(bare_epoch(data, size, device)),
            "bare loop of recorded steps": data.rate(bare_epoch(data, size, device, recorded=on_gpu)),
        }
        for name, rate in bare.items():
            yield Detail(f"batches of {size}, {name}", rows, rate, "rows/s")
        for name, source in sources.items():
            with utilisation(device) as used:
                rate = training_rate(data, source, size, expected=max(bare.values()))
            label = f"batches of {size}, training, {name}"
            yield Detail(label, rows, rate, "rows/s")
            yield Detail(f"{label}, GPU used", rows, used(), "share")
            for other, of in bare.items():
                yield Detail(f"{label}, by {other}", rows, rate / of, "ratio")


def bare_epoch(data: Rows, batch_size: int, device: torch.device, recorded: bool = False) -> Callable[[], None]:
    """Return a function that trains on all rows without a framework: random order, slices and steps.

    Args:
        data: The rows.
        batch_size: Rows of a step; a rest of less is left out.
        device: Where the rows are.
        recorded: Whether to replay a step that was recorded as a CUDA graph.
    """
    network, noise = data.network().to(device), torch.Generator(device).manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), fused=True, capturable=recorded)

    def step(rows: Tensor) -> None:
        loss = network.training_loss(rows, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    batch = data.windows[:batch_size].clone()
    for _ in range(WARM_UP_STEPS):
        step(batch)
    if recorded:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(noise)
        with torch.cuda.graph(graph):
            step(batch)

    def replay(rows: Tensor) -> None:
        batch.copy_(rows)
        graph.replay()

    def epoch() -> None:
        for chosen in torch.randperm(len(data.windows), device=device).split(batch_size):
            if len(chosen) == len(batch):
                (replay if recorded else step)(data.windows[chosen])
        wait(device)

    return epoch


def training_rate(data: Rows, source: RowSource, batch_size: int, expected: float) -> float:
    """Return the rows per second of the training loop: of the median epoch without the first, almost no validation."""
    epochs = 2 + max(1, min(MOST_EPOCHS, round(data.seconds * expected / source.rows)))
    changes = {"batch_size": batch_size, "min_epoch_steps": 1, "max_epochs": epochs, "early_stopping_patience": epochs}
    val = TensorSource(data.windows[:VAL_ROWS])
    return source.rows / median(epoch_seconds(data.network(), source, val, ARGUMENTS.model_copy(update=changes)))


def scoring(data: Rows, device: torch.device) -> Iterator[Detail]:
    """Yield rows per second of scoring rows in memory, and of a bare loop over windows on the device."""
    rows, network = len(data.windows), data.network().eval().to(device)
    values, timestamps = data.source.values.cpu().numpy(), np.arange(len(data.windows))

    @torch.inference_mode()
    def bare() -> None:
        for batch in data.windows.split(SCORED_ROWS):
            network(batch)
        wait(device)

    bare_rate = data.rate(bare)
    with utilisation(device) as used:
        rate = data.rate(lambda: RowScorer(network).contributions(values, timestamps))
    yield Detail("scoring, bare loop", rows, bare_rate, "rows/s")
    yield Detail("scoring, rows in memory", rows, rate, "rows/s")
    yield Detail("scoring, GPU used", rows, used(), "share")
    yield Detail("scoring, by bare loop", rows, rate / bare_rate, "ratio")


def wait(device: torch.device) -> None:
    """Wait for the work of a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def utilisation(device: torch.device) -> Iterator[Callable[[], float]]:
    """Sample the utilisation of a GPU; afterwards the yielded function returns the mean of its upper half.

    The lower half has the start and the end, when nothing is measured yet. NaN without a GPU.
    """
    if device.type != "cuda":
        yield lambda: float("nan")
        return
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={SAMPLED_MILLISECONDS}"]
    sampler = subprocess.Popen(["nvidia-smi", *query], stdout=subprocess.PIPE, text=True)  # noqa: S607 - from the PATH
    samples: list[float] = []
    try:
        yield lambda: mean(sorted(samples)[len(samples) // 2 :]) if samples else float("nan")
    finally:
        sampler.terminate()
        samples += [float(line) / 100 for line in sampler.communicate()[0].split() if line.isdecimal()]
