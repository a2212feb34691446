"""Measures time and memory of a server by the size of a request, for many shapes of requests; see `--help`.

The seconds are of the processor of the server, so that other processes of the machine hardly change them.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click
import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.measure import high_water_mark
from benchmarks.request_shapes import V1, V2, Shape, endpoint
from benchmarks.results import exponent
from benchmarks.serving import START_SECONDS, make_bundle
from benchmarks.serving_batches import MODEL, processor_seconds
from benchmarks.serving_load import LOOPBACK, Connection
from container_component_src.backends.local.processes import free_ports
from container_component_src.backends.local.serving import Server, running, wait_until_ready

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 60_000_000)
ROLES = ("combined", "predictor", "transformer")
MEGABYTE, MEBIBYTE = 10**6, 2**20
PROBE_SECONDS = 0.02  # between two probes of liveness


@dataclass
class Taken:
    """What requests of one shape took, by size."""

    statuses: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # bytes
    seconds: list[float] = field(default_factory=list)  # of the processor
    grown: list[int] = field(default_factory=list)  # bytes of memory above the level before
    peaks: list[int] = field(default_factory=list)  # bytes of memory
    probes: list[float] = field(default_factory=list)  # slowest answer to a probe of liveness, in seconds

    def row(self, name: str) -> tuple[str, ...]:
        """Return the cells of the table."""
        megabytes = [size / MEGABYTE for size in self.sizes]
        large = [index for index, size in enumerate(self.sizes) if size >= MEGABYTE // 2]
        slope = exponent(self.sizes, self.seconds)
        return (
            name,
            " ".join(map(str, self.statuses)),
            f"{max(self.seconds[index] / megabytes[index] for index in large):.3f}",
            "-" if slope is None else f"{slope:.2f}",
            f"{max(self.grown[index] / self.sizes[index] for index in large):.1f}",
            f"{max(self.peaks) / MEBIBYTE:.0f}",
            f"{1000 * max(self.probes):.0f}",
        )


class Prober:
    """Asks a server all the time whether it lives, in a process that nothing else keeps busy."""

    def __init__(self, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._begun, self._over, self._slowest = context.Event(), context.Event(), context.Value("d")
        self._process = context.Process(target=_probe, args=(port, self._begun, self._over, self._slowest))

    def __enter__(self) -> "Prober":
        """Begin."""
        self._process.start()
        self._begun.wait()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._over.set()
        self._process.join()

    @property
    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return float(self._slowest.value)


def _probe(port: int, begun: Event, over: Event, slowest: "Synchronized[float]") -> None:
    with httpx.Client(trust_env=False, timeout=START_SECONDS) as client:
        while not over.wait(PROBE_SECONDS):
            start = time.perf_counter()
            client.get(f"http://{LOOPBACK}:{port}/v2/health/live").raise_for_status()
            slowest.value = max(slowest.value, time.perf_counter() - start)
            begun.set()


def measure(server: Server, shape: Shape, sizes: Sequence[int], channels: Sequence[str]) -> Taken:
    """Send one request of each size."""
    taken = Taken()
    for size in sizes:
        request = endpoint(shape, size, channels, server.port, MODEL)
        before, level = processor_seconds(server), server.process.memory_info().rss
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="ascii")  # resets the peak
        with Prober(server.port) as prober:
            status, _ = Connection(request, timeout=600.0).ask()
        taken.statuses.append(status)
        taken.sizes.append(len(request.body))
        taken.seconds.append(processor_seconds(server) - before)
        taken.peaks.append(high_water_mark(server.process.pid))
        taken.grown.append(max(0, taken.peaks[-1] - level))
        taken.probes.append(prober.slowest)
    return taken


@click.command()
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Bytes of the requests.")
@click.option("--shape", "names", multiple=True, help="Shapes to measure; all by default.")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), default=("combined",), show_default=True)
def main(sizes: str, names: Sequence[str], roles: Sequence[str]) -> None:
    """Measure the slowest seconds and the highest memory by megabyte of request, and how the time grows."""
    table = Table("shape", "statuses", "s by MB", "exponent", "bytes by byte", "peak MiB", "liveness ms")
    with tempfile.TemporaryDirectory() as root:
        channels = make_bundle(Path(root)).info.channels
        ports = dict(zip(ROLES, free_ports(len(ROLES)), strict=True))
        common = ("--model-dir", root, "--model-name", MODEL)
        commands = {
            "combined": ("serve_predictor", "--combined", *common),
            "predictor": ("serve_predictor", *common),
            "transformer": ("serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{ports['predictor']}"),
        }
        wanted = {"predictor", *roles} if "transformer" in roles else set(roles)
        with (
            running({ports[role]: commands[role] for role in wanted}) as servers,
            httpx.Client(trust_env=False) as client,
        ):
            wait_until_ready(servers, MODEL, START_SECONDS, client)
            by_port = {server.port: server for server in servers}
            for role in roles:
                for shape in (*V1, *V2):
                    if not names or shape.__name__ in names:
                        taken = measure(by_port[ports[role]], shape, list(map(int, sizes.split(","))), channels)
                        table.add_row(*taken.row(f"{role} {shape.__name__}"))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    main()
