"""The training loop against the bare loop, and the drawing of batches against a row at a time."""

import io
import re
from contextlib import redirect_stdout
from datetime import datetime
from functools import partial
from itertools import islice
from statistics import median

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.data_details import first_rows, median_ratio
from benchmarks.floors import seconds_of
from benchmarks.loops import train_bare, untrained
from benchmarks.results import Detail
from benchmarks.stages import training_arguments
from benchmarks.workspace import Workspace
from container_component_src.arrays import Float32Array
from container_component_src.limits import usable_cores
from container_component_src.model.datamodule import Shard, TensorSource
from container_component_src.model.hardware import useful_threads
from container_component_src.model.training import fit
from container_component_src.steps.training import TrainingArguments
from container_component_src.telemetry.dataset import Dataset

REPEATS = 5
ROWS = 1_000_000  # at most; more say nothing new about a loop over rows in memory
PER_ROW_ROWS, PER_ROW_BATCH = 50_000, 32
_EPOCH_END = re.compile(r"^(\S+) train_loss=", re.MULTILINE)


def training(work: Workspace) -> list[Detail]:
    """Rows a second of the training loop against bare loops, and of the drawing of batches against a row at a time.

    The loops take turns, so that a change of the machine's speed meets all of them.
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
    product: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in bare}
    for _ in range(REPEATS):
        product.append(_epoch_seconds(values, arguments))
        for name, loop in bare.items():
            seconds[name].append(seconds_of(partial(loop, untrained(values.shape[1]), values, 1)))
    return [
        Detail("training loop", rows, rows / median(product), "rows/s"),
        *(Detail(name, rows, rows / median(taken), "rows/s") for name, taken in seconds.items()),
        *(
            Detail(f"training loop by {name}", rows, median_ratio(zip(taken, product, strict=True)), "ratio")
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

    draw_blocks()  # the first epoch of a process waits for the system to hand out memory
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
    """Seconds of an epoch of the training loop, with next to no validation: from the end of one to that of the next."""
    log = io.StringIO()
    with redirect_stdout(log):
        two = arguments.model_copy(update={"max_epochs": 2, "early_stopping_patience": 2})
        rows = torch.from_numpy(values)
        fit(untrained(values.shape[1]), TensorSource(rows), TensorSource(rows[:1]), two)
    ends = [datetime.fromisoformat(text) for text in _EPOCH_END.findall(log.getvalue())]
    return (ends[1] - ends[0]).total_seconds()


class _Rows(TorchDataset[Tensor]):
    """One row at a time, as a plain dataset gives it."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Tensor:
        return self._values[index]
