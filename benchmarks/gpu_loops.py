"""Training and scoring on a GPU, and bare loops over rows that it holds."""

import io
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import mean, median

import numpy as np
import torch
from torch import Tensor

from benchmarks.floors import seconds_of
from benchmarks.results import Detail
from container_component_src.arrays import Float32Array
from container_component_src.model.bundle import build
from container_component_src.model.bundle_info import Architecture
from container_component_src.model.datamodule import RowSource, TensorSource
from container_component_src.model.device_source import CopiedSource, DeviceSource, windows_at
from container_component_src.model.network import Network
from container_component_src.model.scoring import RowScorer
from container_component_src.model.training import fit
from container_component_src.steps.training import TrainingArguments

CHANNELS, SIGNALS, NOISE = 181, 20, 0.3
VAL_ROWS = 2_000
SAMPLED_MILLISECONDS = 100
EPOCH_END = re.compile(r"^(\S+) train_loss=", re.MULTILINE)
WARM_UP_STEPS = 3
EPOCHS = 5
PRECISIONS: tuple[tuple[str, str, torch.dtype | None], ...] = (
    ("float32", "highest", None),
    ("TensorFloat-32", "high", None),
    ("bfloat16", "highest", torch.bfloat16),
)


@dataclass(frozen=True)
class Rows:
    """Generated rows, on the GPU too, and the windows of a network of the default sizes."""

    arguments: TrainingArguments
    values: Float32Array  # [rows, channels]
    on_device: DeviceSource

    @classmethod
    def generate(cls, rows: int, device: torch.device) -> "Rows":
        """Return rows that mix a few signals."""
        arguments = TrainingArguments(train_df_path="none", val_df_path="none", model_output_file="none")
        generator = torch.Generator(device).manual_seed(0)
        signals = torch.randn((rows, SIGNALS), generator=generator, device=device)
        mixing = torch.randn((SIGNALS, CHANNELS), generator=generator, device=device) / SIGNALS**0.5
        values = signals @ mixing + NOISE * torch.randn((rows, CHANNELS), generator=generator, device=device)
        places = torch.from_numpy(np.random.default_rng(0).permutation(rows)).unsqueeze(1)
        starts = torch.zeros(rows, dtype=torch.int64, device=device)
        source = DeviceSource(values, starts, TensorSource(places), arguments.window_steps)
        return cls(arguments, values.cpu().numpy(), source)

    def windows(self, rows: int) -> Tensor:
        """Return the windows of the first rows on the device."""
        positions = torch.arange(min(rows, len(self.values)), device=self.on_device.values.device)
        return windows_at(self.on_device.values, self.on_device.starts[positions], positions, self.on_device.steps)

    def network(self) -> Network:
        """Return an untrained network on the CPU."""
        sizes = self.arguments
        torch.manual_seed(0)
        network = build(
            Architecture(
                latent_dim=sizes.latent_dim,
                hidden_dims=sizes.hidden_dims,
                variance_floor=1e-3,
                window_steps=sizes.window_steps,
                detector=sizes.detector,
            ),
            CHANNELS,
        )
        network.initialize(self.windows(20_000).cpu())
        return network


def measure(device: torch.device, rows: int, batch_sizes: list[int], seconds: float) -> Iterator[Detail]:
    """Yield all measurements.

    Args:
        device: The GPU.
        rows: Rows to generate.
        batch_sizes: Rows of a step.
        seconds: Least duration of a measurement.
    """
    data = Rows.generate(rows, device)
    yield from scoring(data, device, seconds)
    yield from errors(data, device)
    in_memory = TensorSource(data.windows(rows).cpu())
    sources: dict[str, RowSource] = {"rows on the GPU": data.on_device}
    if device.type == "cuda":
        sources["rows copied from memory"] = CopiedSource(in_memory, device)
    for size in batch_sizes:
        bare = {
            "bare loop": BareLoop(data.network().to(device), size),
            "bare loop of recorded steps": BareLoop(data.network().to(device), size, recorded=device.type == "cuda"),
        }
        windows = data.windows(rows)
        rates = {name: rate(loop.epoch(windows), rows, seconds) for name, loop in bare.items()}
        del windows
        for name, found in rates.items():
            yield Detail(f"batches of {size}, {name}", rows, found, "rows/s")
        for name, source in sources.items():
            with utilisation(device) as busy:
                found = training_rate(data, source, size, seconds, rates["bare loop of recorded steps"])
            label = f"batches of {size}, training, {name}"
            yield Detail(label, rows, found, "rows/s")
            yield Detail(f"{label}, GPU used", rows, busy(), "share")
            for other, of in rates.items():
                yield Detail(f"{label}, by {other}", rows, found / of, "ratio")


class BareLoop:
    """Training without a framework, validation, logs and checks: random order, slices and steps.

    Args:
        network: Network on the device.
        batch_size: Rows of a step.
        recorded: Whether to replay the step as a CUDA graph.
        dtype: Short format of mixed precision; None: float32.
    """

    def __init__(
        self, network: Network, batch_size: int, recorded: bool = False, dtype: torch.dtype | None = None
    ) -> None:
        self._network, self._size, self._recorded, self._dtype = network, batch_size, recorded, dtype
        device = next(network.parameters()).device
        self._noise = torch.Generator(device).manual_seed(0)
        self._optimizer = torch.optim.Adam(network.parameters(), fused=True, capturable=recorded)

    def epoch(self, windows: Tensor) -> Callable[[], None]:
        """Return a function that takes one step for each full batch of windows [rows, channels of a window]."""
        step, batch = self._step, windows[: self._size].clone()
        for _ in range(WARM_UP_STEPS):
            self._step(batch)
        if self._recorded:
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._noise)
            with torch.cuda.graph(graph):
                self._step(batch)

            def step(rows: Tensor) -> None:
                batch.copy_(rows)
                graph.replay()

        def run() -> None:
            for chosen in torch.randperm(len(windows), device=windows.device).split(self._size):
                if len(chosen) == self._size:
                    step(windows[chosen])
            wait(windows.device)

        return run

    def _step(self, rows: Tensor) -> None:
        with torch.autocast(rows.device.type, self._dtype, enabled=self._dtype is not None, cache_enabled=False):
            loss = self._network.training_loss(rows, self._noise)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()


def training_rate(data: Rows, source: RowSource, batch_size: int, seconds: float, expected: float) -> float:
    """Return the rows per second of the training loop: of the median epoch without the first, almost no validation."""
    epochs = 2 + max(1, min(50, round(seconds * expected / source.rows)))
    changes = {"batch_size": batch_size, "min_epoch_steps": 1, "max_epochs": epochs, "early_stopping_patience": epochs}
    val, log = TensorSource(data.windows(VAL_ROWS)), io.StringIO()
    with redirect_stdout(log):
        fit(data.network(), source, val, data.arguments.model_copy(update=changes))
    ends = [datetime.fromisoformat(text) for text in EPOCH_END.findall(log.getvalue())]
    return source.rows / median((end - start).total_seconds() for start, end in pairwise(ends))


def scoring(data: Rows, device: torch.device, seconds: float) -> Iterator[Detail]:
    """Yield rows per second of scoring rows in memory, and of a bare loop over windows on the device."""
    rows, network = len(data.values), data.network().eval()
    timestamps = np.arange(rows, dtype=np.int64)
    windows = data.windows(rows)
    network.to(device)

    @torch.inference_mode()
    def bare() -> None:
        for batch in windows.split(65_536):
            network(batch)
        wait(device)

    bare_rate = rate(bare, rows, seconds)
    with utilisation(device) as busy:
        found = rate(lambda: RowScorer(network).contributions(data.values, timestamps), rows, seconds)
    yield Detail("scoring, bare loop", rows, bare_rate, "rows/s")
    yield Detail("scoring, rows in memory", rows, found, "rows/s")
    yield Detail("scoring, GPU used", rows, busy(), "share")
    yield Detail("scoring, by bare loop", rows, found / bare_rate, "ratio")


def errors(data: Rows, device: torch.device) -> Iterator[Detail]:
    """Yield the relative error of scores in short formats, from float64 on the CPU, and what they change in training.

    The median loss after a training is that of the trained network in float32, over rows that it was not trained on.
    """
    windows, size = data.windows(len(data.values)), data.arguments.batch_size
    held_out, kept = windows[: len(windows) // 10], windows[len(windows) // 10 :]
    exact = scores_of(data.network().double(), held_out.cpu().double())
    for name, precision, dtype in PRECISIONS:
        torch.set_float32_matmul_precision(precision)
        network = data.network().to(device)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            scores = scores_of(network, held_out)
        error = float((scores - exact).norm() / exact.norm())
        yield Detail(f"error of scores in {name}", len(held_out), error, "relative")
        epoch = BareLoop(network, size, recorded=device.type == "cuda", dtype=dtype).epoch(kept)
        taken = [seconds_of(epoch) for _ in range(EPOCHS)]
        torch.set_float32_matmul_precision("highest")
        losses = scores_of(network, held_out)
        yield Detail(f"loss after {EPOCHS} epochs in {name}", len(held_out), float(losses.median()), "nats")
        yield Detail(f"bare loop in {name}, batches of {size}", len(kept), len(kept) / median(taken), "rows/s")


@torch.inference_mode()
def scores_of(network: Network, windows: Tensor) -> Tensor:
    """Return the scores of windows in nats, float64 [rows] on the CPU."""
    return torch.cat([network(batch)[0].sum(dim=1).double().cpu() for batch in windows.split(65_536)])


def rate(run: Callable[[], object], rows: int, seconds: float) -> float:
    """Return rows per second: the median of at least three runs, which last as long as given together."""
    run()  # the first run allocates
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        taken.append(seconds_of(run))
    return rows / median(taken)


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
