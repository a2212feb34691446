"""Reading and writing of datasets in an S3 store behind a network of limited rate: `python -m benchmarks.store`.

First partitions with several options of parquet, in this process; then whole steps as commands.
"""

import os
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.limited_store import DIRECTIONS, FREE, LIMITED, Direction, LimitedStore, Transfer, limited_store
from benchmarks.measure import run_command
from benchmarks.stages import STAGES, Stage
from benchmarks.workspace import ANOMALIES, TIMESTAMP_COL, Workspace
from container_component_src import storage
from container_component_src.example_data import ExampleDataSpec, generate
from container_component_src.telemetry import dataset_writer
from container_component_src.telemetry.dataset import Dataset, Frame
from container_component_src.telemetry.dataset_writer import WRITE_OPTIONS, DatasetWriter

URI = "s3://bucket"
PLAIN = {"use_dictionary": False, "write_statistics": False}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "none": {**PLAIN, "compression": "none"},
    "lz4": {**PLAIN, "compression": "lz4"},
    "lz4, byte stream split": {**PLAIN, "compression": "lz4", "use_byte_stream_split": True},
    "zstd 1": {**PLAIN, "compression": "zstd", "compression_level": 1},
    "as the pipeline": WRITE_OPTIONS,
    "lz4, dictionaries of at most 1 MiB": {**WRITE_OPTIONS, "dictionary_pagesize_limit": 1 << 20},
}
MEASURED = ("run_dask_preprocessing", "scale_dataframes")


@dataclass(frozen=True)
class Taken:
    """What an action took."""

    wall: float  # seconds
    processor: float  # seconds of this process, or of the command
    transfers: Sequence[Transfer]

    def megabytes(self, direction: Direction) -> float:
        """Content that passed the network in one direction."""
        return sum(transfer.size for transfer in self.transfers if transfer.direction == direction) / 1e6

    def busy(self, direction: Direction) -> float:
        """Seconds in which the network was used in one direction."""
        return covered([(item.start, item.end) for item in self.transfers if item.direction == direction])

    @property
    def both(self) -> float:
        """Seconds in which it was used in both directions."""
        either = covered([(transfer.start, transfer.end) for transfer in self.transfers])
        return self.busy("up") + self.busy("down") - either


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of spans."""
    length, last = 0.0, float("-inf")
    for start, end in sorted(spans):
        length += max(0.0, end - max(start, last))
        last = max(last, end)
    return length


class Workbench(Workspace):
    """Workspace whose datasets are in the store."""

    def path(self, name: str) -> str:
        """Return the address of a file or folder."""
        return f"{URI}/{name}"

    def commands(self, stage: Stage) -> list[list[str]]:
        """Return the commands of a stage, with the archives in the store."""
        return [[text.replace(str(self.root), URI) for text in command] for command in stage.commands(self)]

    def upload(self) -> None:
        """Generate the example, and copy it to the store."""
        example = self.root / "example"
        generate(example, ExampleDataSpec(rows=self.rows, channels=self.channels, anomalies=ANOMALIES))
        for file in (file for file in example.rglob("*") if file.is_file()):
            storage.resolve(file.as_posix().replace(str(self.root), URI)).write_bytes(file.read_bytes())


def taken(action: Callable[[], object], store: LimitedStore, who: int = resource.RUSAGE_SELF) -> Taken:
    """Measure an action of this process, or of its children."""
    store.transfers()
    start, used = time.perf_counter(), _processor(who)
    action()
    return Taken(time.perf_counter() - start, _processor(who) - used, store.transfers())


def _processor(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def rates(store: LimitedStore, size: int = 10**8) -> dict[str, list[float]]:
    """Return the Gbit/s at which content of a size passes each network, from the store and to it, by a plain client."""
    found = {}
    for network, address in store.addresses.items():
        connection = HTTPConnection(urlsplit(address).netloc)

        def exchange(connection: HTTPConnection = connection) -> None:
            for method, content in (("PUT", bytes(size)), ("GET", None)):
                connection.request(method, "/bucket/rate", content)
                connection.getresponse().read()

        run = taken(exchange, store)
        found[network] = [8e-3 * run.megabytes(direction) / run.busy(direction) for direction in DIRECTIONS]
        connection.close()
    return found


def partitions(frames: Sequence[Frame], store: LimitedStore, repeats: int) -> dict[str, list[tuple[Taken, Taken]]]:
    """Write and read frames as partitions over the limited network, with each of the options in turns.

    Returns:
        What writing and reading took, by options.
    """
    os.environ["S3_ENDPOINT"] = store.addresses[LIMITED]
    channels = [f"channel {number}" for number in range(frames[0].values.shape[1])]
    found: dict[str, list[tuple[Taken, Taken]]] = {name: [] for name in OPTIONS}
    for name in list(OPTIONS) * repeats:
        with mock.patch.object(dataset_writer, "WRITE_OPTIONS", OPTIONS[name]):
            writer = DatasetWriter(f"{URI}/partitions", TIMESTAMP_COL, channels)
            written = taken(partial(_consume, map(writer.write, frames)), store)
        found[name].append((written, taken(partial(_consume, writer.commit().frames()), store)))
    return found


def _consume(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


def steps(work: Workbench, store: LimitedStore, repeats: int) -> dict[tuple[str, str], list[Taken]]:
    """Run the steps up to the scaling, some of them several times without and with the limit, in turns.

    Returns:
        What the latter took, by step and network.
    """
    found: dict[tuple[str, str], list[Taken]] = {}
    for stage in STAGES[2 : 1 + [stage.name for stage in STAGES].index(MEASURED[-1])]:  # without those of the example
        for network in (FREE, LIMITED) * repeats if stage.name in MEASURED else (FREE,):
            os.environ["S3_ENDPOINT"] = store.addresses[network]
            run = taken(partial(_run, work, stage), store, resource.RUSAGE_CHILDREN)
            found.setdefault((stage.name, network), []).append(run)
    return {key: runs for key, runs in found.items() if key[0] in MEASURED}


def _run(work: Workbench, stage: Stage) -> None:
    for command in work.commands(stage):
        run_command(command, work.root / "log")


def rate_table(found: Mapping[str, Sequence[float]]) -> Table:
    """Return the rates of the networks."""
    return _table("Networks", ("network", "from the store, Gbit/s", "to the store, Gbit/s"), found.items())


def partition_table(title: str, found: Mapping[str, Sequence[tuple[Taken, Taken]]], gigabits: float) -> Table:
    """Return medians by options, beside the time in which the bytes pass the network in one direction."""
    headers = ("options", "MB", "bytes alone s", "write s", "least", "read s", "least", "processor s, write", "read")
    rows = {}
    for name, runs in found.items():
        written, read = zip(*runs, strict=True)
        size = median(run.megabytes("up") for run in written)
        walls = [[run.wall for run in part] for part in (written, read)]
        processor = [median(run.processor for run in part) for part in (written, read)]
        seconds = [value for part in walls for value in (median(part), min(part))]
        rows[name] = [size, 8e-3 * size / gigabits, *seconds, *processor]
    return _table(title, headers, rows.items())


def step_table(title: str, found: Mapping[tuple[str, str], Sequence[Taken]]) -> Table:
    """Return medians by step and network; the last three columns are seconds in which the network is used."""
    headers = ("step, network", "seconds", "processor s", "MB read", "MB written", "reads s", "writes s", "both s")
    rows = {}
    for key, runs in found.items():
        values = [
            (run.wall, run.processor, *map(run.megabytes, DIRECTIONS), *map(run.busy, DIRECTIONS), run.both)
            for run in runs
        ]
        rows[", ".join(key)] = [median(column) for column in zip(*values, strict=True)]
    return _table(title, headers, rows.items())


def _table(title: str, headers: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> Table:
    table = Table(title=title, box=box.MARKDOWN)
    for header in headers:
        table.add_column(header, justify="left" if header == headers[0] else "right", no_wrap=True)
    for name, values in rows:
        table.add_row(name, *(f"{value:.2f}" for value in values))
    return table


@click.command()
@click.option("--rows", default=300_000, show_default=True, help="Rows of the telemetry.")
@click.option("--channels", default=181, show_default=True, help="Channels of the telemetry.")
@click.option("--gigabits", default=1.0, show_default=True, help="Rate of the network in each direction, in Gbit/s.")
@click.option("--repeats", default=3, show_default=True, help="Number of measurements, of which the median counts.")
def main(rows: int, channels: int, gigabits: float, repeats: int) -> None:
    """Measure datasets in a store, with and without a network of limited rate."""
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder, limited_store(gigabits) as store:
        os.environ |= {"S3_ENDPOINT": store.addresses[FREE], "AWS_ACCESS_KEY_ID": "-", "AWS_SECRET_ACCESS_KEY": "-"}
        console.print(rate_table(rates(store)))
        work = Workbench(Path(folder), rows, channels, epochs=1)
        work.upload()
        console.print(step_table("Steps", steps(work, store, repeats)))
        frames = list(Dataset.open(work.path("dataset")).frames())
        console.print(partition_table("Quantized values", partitions(frames, store, repeats), gigabits))
        normal = np.random.default_rng(0).standard_normal
        frames = [Frame(frame.timestamps, normal(frame.values.shape, np.float32)) for frame in frames]
        console.print(partition_table("Values that never repeat", partitions(frames, store, repeats), gigabits))


if __name__ == "__main__":
    main()
