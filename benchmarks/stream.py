"""Measures `score_stream` with 181 channels: latency of single rows at several rates, and most rows a second.

    python -m benchmarks.stream --seconds 20

The rows come from this process, so that latency is the time from the moment at which a row is due until its events are
written. The state is written every second.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click
import numpy as np
import orjson
import torch
from rich.console import Console

from benchmarks.results import Detail
from benchmarks.serving import START_SECONDS, make_bundle, wait_for
from benchmarks.serving_batches import MODEL
from benchmarks.serving_load import LOOPBACK
from benchmarks.table import detail_table
from container_component_src import storage
from container_component_src.backends.local.processes import free_ports
from container_component_src.backends.local.serving import running
from container_component_src.model import row_scorer
from container_component_src.model.bundle import Bundle
from container_component_src.serving.client.consecutive import ScoringService
from container_component_src.serving.client.model_client import ModelClient
from container_component_src.steps.streaming import ScoreStream
from container_component_src.stream.bundle_service import BundleService
from container_component_src.stream.scoring import StreamScorer
from container_component_src.stream.sinks import FileSink
from container_component_src.stream.source import Message, Source
from container_component_src.stream.stream import Stream

RATES = (1, 10, 100)  # rows a second
START = 1_700_000_000 * 10**9
CHUNK = 1000


class Paced(Source):
    """Rows at a rate; 0 is as fast as they are taken."""

    def __init__(self, rows: Sequence[bytes], rate: float) -> None:
        self._rows, self._rate = rows, rate

    async def messages(self) -> AsyncGenerator[Sequence[Message], None]:
        """Iterate over the rows when they are due."""
        if not self._rate:
            for first in range(0, len(self._rows), CHUNK):
                now = time.monotonic()
                yield [Message(row, "", now) for row in self._rows[first : first + CHUNK]]
            return
        begun = time.monotonic()
        for number, row in enumerate(self._rows):
            due = begun + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield [Message(row, "", due)]

    def processed(self, message: Message) -> None:
        """Forget it."""

    @property
    def offsets(self) -> Mapping[str, int]:
        """None are known."""
        return {}


@dataclass(frozen=True)
class Run:
    """What a stream took."""

    rows: int
    wall: float  # seconds
    processor: float  # seconds of this process
    latencies: Sequence[float]  # seconds


async def run(service: ScoringService, rows: Sequence[bytes], rate: float, folder: Path) -> Run:
    """Run a stream to the end of its rows."""
    for file in folder.glob("stream.*"):
        file.unlink()
    arguments = ScoreStream(
        bundle="-", impute_missing=True, alarms=str(folder / "stream.ndjson"), state_file=str(folder / "stream.json")
    )
    scorer = StreamScorer(service, arguments, 10**10)
    state = storage.resolve(arguments.state_file)
    stream = Stream(arguments, Paced(rows, rate), scorer, [FileSink(arguments.alarms)], state)
    latencies: list[float] = []
    # The histogram has no quantiles.
    stream.counts.latency = latencies.append  # type: ignore[method-assign, assignment]
    wall, used = time.monotonic(), _processor()
    await stream.run()
    return Run(len(rows), time.monotonic() - wall, _processor() - used, latencies)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def telemetry(bundle: Bundle, rows: int) -> list[bytes]:
    """Rows of quiet telemetry, one a second."""
    values = np.random.default_rng(0).normal(10, 2, (rows, len(bundle.info.channels))).round(3).tolist()
    return [
        orjson.dumps({"normalizedTime": START + number * 10**9, **dict(zip(bundle.info.channels, row, strict=True))})
        for number, row in enumerate(values)
    ]


def measure(name: str, service: ScoringService, rows: Sequence[bytes], seconds: float, folder: Path) -> list[Detail]:
    """Return latencies at each rate, and the most rows a second."""
    asyncio.run(run(service, rows[:50], 0, folder))  # the first rows are slow
    details = []
    for rate in RATES:
        taken = asyncio.run(run(service, rows[: max(10, int(rate * seconds))], rate, folder))
        p50, p99 = np.quantile(taken.latencies, [0.5, 0.99]) * 1e3
        details += [
            Detail(f"{name}, {rate} rows/s, latency p50", taken.rows, float(p50), "ms"),
            Detail(f"{name}, {rate} rows/s, latency p99", taken.rows, float(p99), "ms"),
            Detail(f"{name}, {rate} rows/s, processor of the stream", taken.rows, taken.processor / taken.rows * 1e3,
                   "ms/row"),
        ]  # fmt: skip
    taken = asyncio.run(run(service, rows, 0, folder))
    return [
        *details,
        Detail(f"{name}, as fast as possible", taken.rows, taken.rows / taken.wall, "rows/s"),
        Detail(f"{name}, as fast as possible, processor of the stream", taken.rows, taken.processor / taken.rows * 1e3,
               "ms/row"),
    ]  # fmt: skip


def padding(bundle: Bundle, rows: int = 300) -> list[Detail]:
    """Return the processor time to score a single row, alone and in a block."""
    values = np.random.default_rng(0).standard_normal((1, len(bundle.info.channels))).astype(np.float32)
    details = []
    for block in (1, 64):
        with mock.patch.object(row_scorer, "rows_of_blocks", return_value=block):
            used = _processor()
            for _ in range(rows):
                bundle.scorer.contributions(values)
            details.append(Detail(f"one row in a block of {block}", rows, (_processor() - used) / rows * 1e3, "ms/row"))
    return details


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="Length of the run at each rate.")
@click.option("--rows", default=20_000, show_default=True, help="Rows of the run that is as fast as possible.")
def main(seconds: float, rows: int) -> None:
    """Measure streams, with a bundle in the process and against a service on this machine."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = make_bundle(folder / "bundle")
        lines = telemetry(bundle, rows)
        details = padding(bundle)
        details += measure("in process", BundleService(str(folder / "bundle"), 5, 300.0), lines, seconds, folder)
        (port,) = free_ports(1)
        command = ("serve_predictor", "--combined", "--model-dir", str(folder / "bundle"), "--model-name", MODEL)
        url = f"http://{LOOPBACK}:{port}"
        with running({port: command}):
            wait_for(f"{url}/v2/models/{MODEL}/ready", START_SECONDS)
            arguments = ScoreStream(url=url, model_name=MODEL)
            with ModelClient(arguments) as client:
                details += measure("service", client, lines, seconds, folder)
    Console(width=120).print(detail_table(details, markdown=True))


if __name__ == "__main__":
    main()
