"""Comparison of the training loop with a bare loop, and of drawing batches with drawing single rows."""

from functools import partial
from itertools import islice
from statistics import median

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.data_details import first_rows, median_ratio
from benchmarks.floors import seconds_of
from benchmarks.loops import epoch_seconds, train_bare, untrained
from benchmarks.results import Detail
from benchmarks.stages import training_arguments
from benchmarks.workspace import Workspace
from container_component_src.arrays import Float32Array
from container_component_src.limits import usable_cores
from container_component_src.model.datamodule import Shard, TensorSource
from container_component_src.model.hardware import useful_threads
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset

REPEATS = 5
ROWS = 1_000_000  # at most; more rows would give the same result for rows in memory
PER_ROW_ROWS, PER_ROW_BATCH = 50_000, 32


def training(work: Workspace) -> list[Detail]:
    """Measure rows per second of the training loop and bare loops, and of drawing batches and single rows.

    The loops alternate, so that changes of the machine's speed affect all of them.
    """
    values = first_rows(Dataset.open(work.path("scaled/train")), ROWS)
    rows, arguments = len(values), training_arguments(work)
    threads = useful_threads(untrained(values.shape[1]), arguments.batch_size)
    bare = {
        f"bare loop, threads by default ({usable_cores()})": partial(train_bare, threads=usable_cores()),
        f"bare loop, threads as in training ({threads})": partial(train_bare, threads=threads),
        f"bare loop, threads ({threads}) and fused Adam as in training": partial(
            train_bare, threads=threads, fused=True
        ),
    }
    for loop in bare.values():  # the first steps of a process are slow
        loop(untrained(values.shape[1]), values[: rows // 10], 1)
    training_loop: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in bare}
    for _ in range(REPEATS):
        training_loop.append(_epoch_seconds(values, arguments))
        for name, loop in bare.items():
            seconds[name].append(seconds_of(partial(loop, untrained(values.shape[1]), values, 1)))
    return [
        Detail("training loop", rows, rows / median(training_loop), "rows/s"),
        *(Detail(name, rows, rows / median(taken), "rows/s") for name, taken in seconds.items()),
        *(
            Detail(f"training loop by {name}", rows, median_ratio(zip(taken, training_loop, strict=True)), "ratio")
            for name, taken in seconds.items()
        ),
        *_data_path(values),
    ]


def _data_path(values: Float32Array) -> list[Detail]:
    torch.set_num_threads(usable_cores())
    source, shard = TensorSource(torch.from_numpy(values)), Shard()
    one_by_one = DataLoader(_Rows(torch.from_numpy(values)), batch_size=PER_ROW_BATCH, shuffle=True)

    def draw_blocks() -> None:
        for block in source.shuffled(PER_ROW_BATCH, 0, 0, shard):
            for _ in block:
                pass

    def draw_rows() -> None:
        for _ in islice(one_by_one, PER_ROW_ROWS // PER_ROW_BATCH):
            pass

    draw_blocks()  # the first epoch of a process waits for memory from the system
    draw_rows()
    pairs = [
        (len(values) / seconds_of(draw_blocks), min(PER_ROW_ROWS, len(values)) / seconds_of(draw_rows))
        for _ in range(REPEATS)
    ]
    name = f"batches of {PER_ROW_BATCH} alone"
    return [
        Detail(name, len(values), median(blocks for blocks, _ in pairs), "rows/s"),
        Detail(f"{name}, row by row with default collation", len(values), median(rows for _, rows in pairs), "rows/s"),
        Detail(f"{name}, as a multiple of row by row", len(values), median_ratio(pairs), "ratio"),
    ]


def _epoch_seconds(values: Float32Array, arguments: TrainingArguments) -> float:
    """Return the seconds between the ends of two epochs of the training loop, with almost no validation."""
    two = arguments.model_copy(update={"max_epochs": 2, "early_stopping_patience": 2})
    rows = torch.from_numpy(values)
    (seconds,) = epoch_seconds(untrained(values.shape[1]), TensorSource(rows), TensorSource(rows[:1]), two)
    return seconds


class _Rows(TorchDataset[Tensor]):
    """Dataset that returns one row at a time."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Tensor:
        return self._values[index]
