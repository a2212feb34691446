"""Simulation of many partitions: whether manifests, listing and planning stay linear in time and memory.

    .venv/bin/python -m benchmarks.scale_simulation            # 25,000 and 100,000 partitions, 500 and 2,000 real files

Files whose content is not read are empty. The steps that read and write run on real files of a few rows.
"""

import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast
from unittest import mock

import numpy as np
from distributed import Client
from rich.console import Console
from rich.table import Table

from container_component_src import storage
from container_component_src.dask_preprocessor import preprocessor
from container_component_src.dask_preprocessor.preprocessor import PartitionResult, PartitionTask, preprocess
from container_component_src.model.datamodule import Shard
from container_component_src.model.streaming import StreamingSource
from container_component_src.steps.data import SETS, ScalerType, SplitRule
from container_component_src.telemetry import dataset_writer
from container_component_src.telemetry.archive_files import find_archives
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import DatasetWriter
from container_component_src.telemetry.events import Event
from container_component_src.telemetry.manifest import Manifest, Partition
from container_component_src.telemetry.scaling import fit_scaler, scale_datasets
from container_component_src.telemetry.split import split_dataset

ROWS = 4  # of a partition
NODES = 8
SECOND = 10**9
HOUR = 3600 * SECOND
CHANNELS = ("pressure", "flow")
GROWTH = 4  # of the partitions, from the smaller to the larger size
PLANNED, PROCESSED = 100_000, 2_000  # partitions of the larger size


@dataclass(frozen=True)
class Work:
    """What a step took.

    Attributes:
        calls: Calls of functions in this thread, which do not depend on the load of the machine.
        cpu_seconds: Processor time without any tracing.
        peak_bytes: Peak of the memory that Python and numpy allocated.
    """

    calls: int
    cpu_seconds: float
    peak_bytes: int


Step = Callable[[Path, int], object]


def work_of(step: Step, prepare: Callable[[Path, int], None], count: int) -> Work:
    """Measure a step over `count` partitions; it runs three times, each in a new folder."""

    def run(around: Callable[[Callable[[], object]], int | float]) -> int | float:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), count)
            return around(lambda: step(Path(folder), count))

    return Work(int(run(_calls)), float(run(_cpu_seconds)), int(run(_peak_bytes)))


def _calls(action: Callable[[], object]) -> int:
    number = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return number


def _cpu_seconds(action: Callable[[], object]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def _peak_bytes(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def partition(index: int) -> Partition:
    """Return the description of a partition that has the hour of its index."""
    start = index * HOUR
    return Partition(file=f"part-00000000-{index:05d}.parquet", rows=ROWS, start=start, end=start + ROWS - 1)


def empty_archives(folder: Path, count: int) -> None:
    """Make archives without content."""
    for index in range(count):
        (folder / f"{index:06d}.parquet").touch()


def empty_dataset(folder: Path, count: int) -> None:
    """Make a dataset whose partitions have no content."""
    for index in range(count):
        (folder / partition(index).file).touch()
    write_manifest(folder, count)


def write_manifest(folder: Path, count: int) -> None:
    """Write the manifest of a dataset."""
    partitions = tuple(map(partition, range(count)))
    manifest = Manifest(timestamp_col="time", channels=CHANNELS, partitions=partitions)
    dataset_writer.commit(storage.resolve(str(folder)), manifest)


def real_dataset(folder: Path, count: int) -> None:
    """Make a labelled dataset with an event in its middle, and its label series."""
    middle = partition(count // 2)
    event = Event(id="1", start=middle.start, end=middle.end + 1)
    writers = [DatasetWriter(str(folder / name), "time", names) for name, names in _DATA_AND_LABELS]
    for described in map(partition, range(count)):
        times = described.start + np.arange(ROWS, dtype=np.int64)
        values = np.sin(times[:, None] / HOUR + np.arange(len(CHANNELS))).astype(np.float32)
        labels = np.full(ROWS, described == middle, dtype=np.int8)
        writers[0].write(Frame(times, values))
        writers[1].write(Frame(times, values[:, :0], labels))
    writers[0].commit()
    writers[1].commit(events=(event,))


_DATA_AND_LABELS = (("data", CHANNELS), ("labels", ()))


def split(folder: Path, _count: int) -> None:
    """Divide a dataset into the four sets."""
    targets = {name: str(folder / name) for name in SETS}
    rule = SplitRule(window_hours=2, block_hours=3, val_fraction=0.2, calibration_fraction=0.2)
    split_dataset(str(folder / "data"), str(folder / "labels"), targets, rule)


def scale(folder: Path, _count: int) -> None:
    """Fit a scaler and scale a dataset."""
    scaler = fit_scaler(str(folder / "data"), ScalerType.STANDARD)
    scale_datasets({"data": Dataset.open(str(folder / "data"))}, scaler, {"data": str(folder / "scaled")})


class Finished(NamedTuple):
    """Task that is done."""

    key: str
    result: PartitionResult


class FinishedClient:
    """Client of a Dask cluster whose workers are done at once and write nothing."""

    def map(self, _function: object, tasks: Sequence[PartitionTask], **_options: object) -> list[Finished]:
        """Return finished tasks."""
        return [self._finished(task) for task in tasks]

    @staticmethod
    def _finished(task: PartitionTask) -> Finished:
        file = task.target_uri.rpartition("/")[2]
        made = task.expected and task.expected.model_copy(update={"file": file})
        return Finished(
            task.target_uri, PartitionResult(made, dict.fromkeys(CHANNELS, 1), dict.fromkeys(CHANNELS, 1.0))
        )


def plan_preprocessing(folder: Path, _count: int) -> None:
    """Plan the tasks of the preprocessing, and write the manifest of what they report."""

    def results(done: Sequence[Finished], with_results: bool) -> Iterator[tuple[Finished, PartitionResult]]:
        return ((task, task.result) for task in done)

    first = mock.MagicMock()
    first.return_value.__enter__.return_value.channels = CHANNELS
    first.return_value.__enter__.return_value.columns.left_out = {}
    with mock.patch.multiple(preprocessor, as_completed=results, open_archive=first):
        preprocess([str(folder)], str(folder / "out"), "time", 1.0, "", cast(Client, FinishedClient()))


def plan_epoch(folder: Path, _count: int) -> None:
    """Plan an epoch of the streaming training for one of several nodes."""
    source = StreamingSource(Dataset.open(str(folder)), buffer_rows=ROWS)
    source.shuffled(NODES * ROWS, 0, 0, Shard(0, NODES))


PLANNING: dict[str, tuple[Step, Callable[[Path, int], None]]] = {
    "list of archives": (lambda folder, _: find_archives(str(folder)), empty_archives),
    "manifest, written": (write_manifest, lambda *_: None),
    "manifest, opened": (lambda folder, _: Dataset.open(str(folder)), empty_dataset),
    "plan of the preprocessing": (plan_preprocessing, empty_dataset),
    "plan of an epoch": (plan_epoch, empty_dataset),
}
PROCESSING: dict[str, tuple[Step, Callable[[Path, int], None]]] = {
    "split": (split, real_dataset),
    "scaling": (scale, real_dataset),
}


def main() -> None:
    """Print what each step takes at two sizes, and how it grows."""
    table = Table("step", "partitions", "calls", "growth", "CPU s", "growth", "peak MiB", "growth")
    for steps, most in ((PLANNING, PLANNED), (PROCESSING, PROCESSED)):
        for name, (step, prepare) in steps.items():
            small, large = (work_of(step, prepare, count) for count in (most // GROWTH, most))
            table.add_row(
                *(name, f"{most:,}", f"{large.calls:,}", f"{large.calls / small.calls:.2f}"),
                *(f"{large.cpu_seconds:.2f}", f"{large.cpu_seconds / small.cpu_seconds:.2f}"),
                *(f"{large.peak_bytes / 2**20:.0f}", f"{large.peak_bytes / small.peak_bytes:.2f}"),
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
