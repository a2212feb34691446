"""Measures the servers against a minimal FastAPI handler with the same model; see `--help`.

Servers and clients run on one machine, so that rates are lower bounds. Compare the ratios.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click
import httpx
import numpy as np
import psutil
import torch
from rich.console import Console

from benchmarks.measure import PROJECT
from benchmarks.results import Detail
from benchmarks.serving_batches import MODEL, batches, json_rows, processor_seconds
from benchmarks.serving_load import LOOPBACK, Answers, in_turns, load
from benchmarks.table import detail_table
from container_component_src import storage
from container_component_src.alarms.rule import AlarmRule
from container_component_src.backends.local.processes import free_ports
from container_component_src.backends.local.serving import Server, running, wait_until_ready
from container_component_src.model.bundle import Bundle, build
from container_component_src.model.bundle_info import (
    Architecture,
    BundleInfo,
    Calibration,
    ChannelStatistics,
    TrainingSummary,
)
from container_component_src.steps.calibration import AlarmSettings
from container_component_src.steps.data import ScalerType
from container_component_src.steps.training import Hyperparameters
from container_component_src.telemetry.scaler import Scaler

CHANNELS, HIDDEN_DIMS, LATENT_DIM = 181, (500, 500), 8
ROWS = 1000
START_SECONDS = 120.0
LOAD_CONNECTIONS = 4
SOAK_SHARE = 0.6  # of the maximum rate; with more, a machine that slows down for a while decides the p99
WINDOWS = 10  # equal spans of the soak, of which the first and the last are compared


def make_bundle(folder: Path) -> Bundle:
    """Write and return the bundle of an untrained model of the measured size."""
    torch.manual_seed(0)
    channels = tuple(f"ECLSS_CHANNEL_{number:03}" for number in range(CHANNELS))
    architecture = Architecture(latent_dim=LATENT_DIM, hidden_dims=HIDDEN_DIMS, variance_floor=1e-4)
    quantiles = {"0.01": -2.3, "0.99": 2.3}
    info = BundleInfo(
        architecture=architecture,
        channels=channels,
        scaler=Scaler(
            type=ScalerType.STANDARD, channels=channels, centre=(10.0,) * CHANNELS, scale=(2.0,) * CHANNELS
        ),
        max_gap_ns=10**10,
        calibration=Calibration(
            settings=AlarmSettings(), rule=AlarmRule(raise_above=300.0, clear_below=300.0, max_gap_ns=10**10),
            method="none", false_alarms_per_day=None, rows=1, days=0.0, highest_median=0.0,
            channel_nats=(1.4,) * CHANNELS,
        ),
        training=TrainingSummary(
            train_rows=1, val_rows=1, epochs=1, best_epoch=0, val_loss=0.0, history=(),
            hyperparameters=Hyperparameters(), nodes=1,
        ),
        channel_statistics={name: ChannelStatistics(mean=0.0, std=1.0, quantiles=quantiles) for name in channels},
        seed=0,
        versions={},
    )  # fmt: skip
    model = build(architecture, CHANNELS).eval()
    return Bundle(Bundle(info, model).save(storage.resolve(str(folder))), model)


@contextmanager
def handler(folder: Path) -> Iterator[int]:
    """Run the minimal handler as a process; yield its port."""
    (port,) = free_ports(1)
    program = [sys.executable, str(PROJECT / "benchmarks" / "serving_handler.py"), str(folder), str(port)]
    with subprocess.Popen(program, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        try:
            wait_for(f"http://{LOOPBACK}:{port}/docs")
            yield port
        finally:
            process.terminate()


def wait_for(url: str, timeout: float = START_SECONDS) -> None:
    """Wait until a URL answers 200.

    Raises:
        TimeoutError: It does not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(url) from error
            time.sleep(0.02)


def single_rows(ports: dict[str, int], values: np.ndarray, requests: int, rounds: int) -> list[Detail]:
    """Measure the median time of a request with one row, and its ratio to the minimal handler."""
    names = list(ports)
    endpoints = [json_rows(ports[name], values[:1]) for name in names]
    times = dict(zip(names, in_turns(endpoints, requests, rounds), strict=True))
    milliseconds = {name: 1000 * median(seconds) for name, seconds in times.items()}
    baseline = milliseconds["handler"]
    details = [Detail(f"single row, {name}, p50", 1, value, "ms") for name, value in milliseconds.items()]
    return details + [
        Detail(f"single row, {name} by handler", 1, value / baseline, "ratio")
        for name, value in milliseconds.items()
        if name != "handler"
    ]


def soak(server: Server, values: np.ndarray, seconds: float) -> list[Detail]:
    """Measure errors and the growth of memory and of the p99 under a share of the maximum rate."""
    endpoint, short = json_rows(server.port, values[:1]), max(10.0, seconds / 20)
    fastest = load(endpoint, LOAD_CONNECTIONS, short)
    rate = len(fastest.ends) / short
    load(endpoint, LOAD_CONNECTIONS, short, SOAK_SHARE * rate)  # until memory no longer grows
    before, foreign, served = server.process.memory_info().rss, foreign_seconds(server), processor_seconds(server)
    answers = load(endpoint, LOAD_CONNECTIONS, seconds, SOAK_SHARE * rate)
    after, foreign = server.process.memory_info().rss, foreign_seconds(server) - foreign
    served = processor_seconds(server) - served
    first, last = windows(answers)
    return [
        Detail("maximum rate of single rows, combined", len(fastest.ends), rate, "requests/s"),
        Detail("soak, seconds", len(answers.ends), seconds, "s"),
        Detail(
            "soak, errors", len(answers.ends), sum(status != httpx.codes.OK for status in answers.statuses), "answers"
        ),
        Detail("soak, memory at the end by start", len(answers.ends), after / before, "ratio"),
        Detail("soak, p99 at the start", len(answers.ends), 1000 * first, "ms"),
        Detail("soak, p99 at the end", len(answers.ends), 1000 * last, "ms"),
        Detail("soak, p99 at the end by start", len(answers.ends), last / first, "ratio"),
        Detail("soak, cores of the server", len(answers.ends), served / seconds, "cores"),
        Detail("soak, foreign cores", len(answers.ends), max(0.0, foreign / seconds), "cores"),
    ]


def foreign_seconds(server: Server) -> float:
    """Return the processor seconds of all other processes than this one and the server, since the machine started."""
    machine, own, served = psutil.cpu_times(), psutil.Process().cpu_times(), server.process.cpu_times()
    return float(machine.user + machine.nice + machine.system - own.user - own.system - served.user - served.system)


def windows(answers: Answers) -> tuple[float, float]:
    """Return the p99 of the first and of the last window of a soak, in seconds."""
    seconds = np.array_split(np.array(answers.seconds)[np.argsort(answers.ends)], WINDOWS)
    return float(np.percentile(seconds[0], 99)), float(np.percentile(seconds[-1], 99))


def kill(folder: Path, values: np.ndarray) -> list[Detail]:
    """Measure the time to the first 503 after a predictor is killed, and to the first 200 after it is back."""
    predictor_port, port = free_ports(2)
    common = ("--model-dir", str(folder), "--model-name", MODEL)
    answers, killed, back = Answers(), 0.0, 0.0
    transformer = ("serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{predictor_port}")
    with running({port: transformer}) as servers, httpx.Client(trust_env=False) as client:

        def ask() -> None:
            found = load(json_rows(port, values[:1]), LOAD_CONNECTIONS, 3.0)
            answers.statuses.extend(found.statuses)
            answers.ends.extend(found.ends)
            answers.seconds.extend(found.seconds)

        with running({predictor_port: ("serve_predictor", *common)}) as predictors:
            wait_until_ready([*servers, *predictors], MODEL, START_SECONDS, client)
            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(1.0)
            killed = time.perf_counter()
            predictors[0].process.send_signal(signal.SIGKILL)
            predictors[0].process.wait()
            thread.join()
        with running({predictor_port: ("serve_predictor", *common)}) as predictors:
            wait_until_ready(predictors, MODEL, START_SECONDS, client)
            ready = time.perf_counter()
            wait_until = load(json_rows(port, values[:1]), 1, 1.0)
            back = min(end for end, status in zip(wait_until.ends, wait_until.statuses, strict=True) if status == 200)
    refused = [
        (end, taken)
        for end, taken, status in zip(answers.ends, answers.seconds, answers.statuses, strict=True)
        if status == httpx.codes.SERVICE_UNAVAILABLE
    ]
    others = sum(status not in (200, 503) for status in answers.statuses)
    return [
        Detail("predictor killed, first 503 after", len(answers.ends), min(end for end, _ in refused) - killed, "s"),
        Detail("predictor killed, slowest 503", len(refused), max(taken for _, taken in refused), "s"),
        Detail("predictor killed, other answers than 200 and 503", len(answers.ends), others, "answers"),
        Detail("predictor ready again, first 200 after", 1, back - ready, "s"),
    ]


def measure(requests: int, rounds: int, soak_seconds: float) -> list[Detail]:
    """Take all measurements of the servers."""
    values = 10.0 + 2.0 * np.random.default_rng(0).standard_normal((ROWS, CHANNELS))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "bundle"
        bundle = make_bundle(folder)
        predictor, transformer, combined = free_ports(3)
        common = ("--model-dir", str(folder), "--model-name", MODEL)
        commands = {
            predictor: ("serve_predictor", *common),
            transformer: ("serve_transformer", *common, "--predictor-host", f"{LOOPBACK}:{predictor}"),
            combined: ("serve_predictor", "--combined", *common),
        }
        with running(commands) as servers, handler(folder) as bare, httpx.Client(trust_env=False) as client:
            wait_until_ready(servers, MODEL, START_SECONDS, client)
            ports = {
                "handler": bare,
                "predictor": predictor,
                "combined": combined,
                "transformer + predictor": transformer,
            }
            details = single_rows(ports, values, requests, rounds)
            named = dict(zip(("predictor", "transformer + predictor", "combined"), servers, strict=True))
            details += batches(bundle, named, values, rounds)
            details += soak(servers[2], values, soak_seconds)
        return details + kill(folder, values)


@click.command()
@click.option("--requests", type=click.IntRange(1), default=100, show_default=True, help="Single rows per round.")
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Rounds of each comparison.")
@click.option("--soak-seconds", type=float, default=600.0, show_default=True, help="Length of the soak.")
def main(requests: int, rounds: int, soak_seconds: float) -> None:
    """Measure the servers: single rows, batches, a soak, and a predictor that is killed."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    foreign = psutil.getloadavg()[0]
    console.print(f"load of the machine at the start: {foreign:.2f} on {os.cpu_count()} cores")
    console.print(detail_table(measure(requests, rounds, soak_seconds)))


if __name__ == "__main__":
    main()
