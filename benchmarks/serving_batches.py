"""Measures how many rows a second of processor time the servers score in batches."""

import json
import time
from itertools import product
from statistics import median

import numpy as np
import torch

from benchmarks.results import Detail
from benchmarks.serving_load import Endpoint, in_turns
from container_component_src.backends.local.serving import Server
from container_component_src.model.bundle import Bundle
from container_component_src.serving.protocol.v2 import encode_request

MODEL = "model"
BATCHES = {1_000: 20, 10_000: 2}  # rows, and requests a round
JSON = {"content-type": "application/json"}


def json_rows(port: int, values: np.ndarray) -> Endpoint:
    """Return a V1 request for values [rows, channels]."""
    body = json.dumps({"instances": values.tolist()}).encode()
    return Endpoint(port, f"/v1/models/{MODEL}:predict", body, JSON)


def binary_rows(port: int, values: np.ndarray) -> Endpoint:
    """Return a V2 request with binary tensors for values [rows, channels]."""
    body, headers = encode_request({"rows": values})
    return Endpoint(port, f"/v2/models/{MODEL}/infer", body, headers)


def batches(bundle: Bundle, servers: dict[str, Server], values: np.ndarray, rounds: int) -> list[Detail]:
    """Measure rows a second of processor time, and their ratio to the model in this process with one thread.

    Every model gets the same scaled rows: the predictor receives them, the others scale telemetry themselves. JSON of
    the larger batches would exceed the limit of the servers.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the number that the servers use
    details = []
    for rows, requests in BATCHES.items():
        telemetry = np.resize(values, (rows, values.shape[1])).astype(np.float32)
        scaled = bundle.info.scaler.transform(telemetry) if bundle.info.scaler else telemetry
        kinds = {"binary": binary_rows, "JSON": json_rows} if rows == min(BATCHES) else {"binary": binary_rows}
        own: list[float] = []
        served: dict[str, list[float]] = {}
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(requests):
                bundle.scorer.contributions(scaled)
            own.append((time.process_time() - start) / requests)
            for (kind, request), (name, server) in product(kinds.items(), servers.items()):
                endpoint = request(server.port, scaled if name == "predictor" else telemetry)
                used = [processor_seconds(item) for item in servers.values()]
                in_turns([endpoint], requests, 1)
                taken = sum(processor_seconds(item) for item in servers.values()) - sum(used)
                served.setdefault(f"{kind} batches, {name}", []).append(taken / (2 * requests))  # with the warm-up
        details.append(Detail("batches in this process", rows, rows / median(own), "rows/s"))
        for name, times in served.items():
            ratios = [alone / taken for alone, taken in zip(own, times, strict=True)]
            details.append(Detail(name, rows, rows / median(times), "rows/s"))
            details.append(Detail(f"{name} by in this process", rows, median(ratios), "ratio"))
    torch.set_num_threads(threads)
    return details


def processor_seconds(server: Server) -> float:
    """Return the processor seconds of a server so far."""
    times = server.process.cpu_times()
    return float(times.user + times.system)
