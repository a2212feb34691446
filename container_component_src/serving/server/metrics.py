"""Prometheus metrics of a server. With several worker processes, they are the sums over all of them."""

import math
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from container_component_src.arrays import Float32Array, Float64Array
from container_component_src.model.bundle_info import BundleInfo
from container_component_src.serving.server.missing import Imputation

PROTOCOLS = ("v1", "v2", "grpc")
DRIFT_ROWS = 10_000  # the weight of a row in the drift falls to 1/e after this many further rows
_LOW, _HIGH = "0.01", "0.99"  # quantiles of the training data that inputs are compared with
# Edges of the score histogram: 0 is the mean validation score, 1 the threshold.
_SCORE_EDGES = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 100.0)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATUSES = 600  # HTTP status codes are below


class Metrics:
    """Counts requests and compares their rows with the training data.

    Args:
        info: Description of the bundle.
        model: Name of the model.
        role: Role of the server.
        folder: Folder that the worker processes share, or "" if this is the only process.
    """

    def __init__(self, info: BundleInfo, model: str, role: str, folder: str = "") -> None:
        self._labels = {"model": model, "version": info.version, "part": role}
        self._channels = info.channels
        statistics = [info.channel_statistics.get(name) for name in info.channels]
        constant = np.array([name in info.constant_spreads for name in info.channels])
        self._means = np.array([item.mean if item else math.nan for item in statistics])
        stds = np.array([item.std if item and item.std > 0 else math.nan for item in statistics])
        self._stds = np.where(constant, 1.0, stds)  # the resolution
        low = [item.quantiles.get(_LOW, -math.inf) if item else -math.inf for item in statistics]
        high = [item.quantiles.get(_HIGH, math.inf) if item else math.inf for item in statistics]
        self._low = np.where(constant, -1.0, low).astype(np.float32)
        self._high = np.where(constant, 1.0, high).astype(np.float32)
        threshold = info.calibrated.rule.raise_above
        usual = sum(info.calibrated.channel_nats)
        self._edges = usual + np.array(_SCORE_EDGES) * max(threshold - usual, 1.0)
        self._counts = Counts(len(info.channels), folder)
        self._lock = Lock()  # large requests are answered in a thread of their own

    def reset(self) -> None:
        """Set all counts of this process to zero, as after the warm-up."""
        for numbers in self._counts.own.values():
            numbers[:] = 0

    def request(self, protocol: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            protocol: One of `PROTOCOLS`.
            status: HTTP status of the answer.
            seconds: Time that the answer took.
        """
        own, row = self._counts.own, PROTOCOLS.index(protocol)
        with self._lock:
            own["requests"][0, row, status] += 1
            own["durations"][0, row, bisect_left(_SECONDS, seconds)] += 1
            own["seconds"][0, row] += seconds

    def rows(self, scaled: Float32Array, scores: Float32Array, alarms: int, missing: Imputation | None = None) -> None:
        """Count scored rows.

        Args:
            scaled: Input of the model, shape [rows, channels].
            scores: Nats, shape [rows].
            alarms: Number of rows above the alarm threshold or with a dead channel.
            missing: Values that were imputed; None if missing values are refused.
        """
        own = self._counts.own
        score_sum = scores.sum(dtype=np.float64)
        buckets = np.bincount(np.searchsorted(self._edges, scores), minlength=len(self._edges) + 1)
        sums = scaled.sum(axis=0, dtype=np.float64)
        # Sums of int64, the default, take twice as long.
        outside = ((scaled < self._low) | (scaled > self._high)).sum(axis=0, dtype=np.uint32)
        decay = math.exp(-len(scores) / DRIFT_ROWS)
        with self._lock:
            own["rows"] += len(scores)
            own["alarms"] += alarms
            own["score_sum"] += score_sum
            own["buckets"] += buckets
            own["drift_rows"] *= decay
            own["drift_rows"] += len(scores)
            own["drift_sums"] *= decay
            own["drift_sums"] += sums
            own["outside"] += outside
            if missing is not None:
                own["imputed"][0, missing.columns] += missing.imputed.sum(axis=0)
                if missing.dead is not None:
                    own["dead"][0, missing.columns] += missing.dead.sum(axis=0)

    def payloads(self, written: int, dropped: int) -> None:
        """Count rows that were written to the payload log, and rows that should have been."""
        own = self._counts.own
        with self._lock:
            own["payload_rows"] += written
            own["payload_dropped_rows"] += dropped

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all processes together; `prometheus_client` calls this."""
        total = self._counts.total()
        yield InfoMetricFamily("anomaly_model", "What this server serves.", self._labels)
        yield from _request_metrics(total)
        yield CounterMetricFamily("anomaly_rows", "Rows scored.", float(total["rows"]))
        if self._labels["part"] != "predictor":
            yield CounterMetricFamily(
                "anomaly_alarms", "Rows above the alarm threshold, or with a dead channel.", float(total["alarms"])
            )
            yield self._per_channel("anomaly_imputed_values", "Missing values scored as the centre.", total["imputed"])
            text = "Rows written to the payload log."
            yield CounterMetricFamily("anomaly_payload_rows", text, float(total["payload_rows"]))
            text = "Rows that the payload log lacks, because the store is slow or away."
            yield CounterMetricFamily("anomaly_payload_dropped_rows", text, float(total["payload_dropped_rows"]))
            yield self._per_channel("anomaly_dead_rows", "Rows in which the channel was dead.", total["dead"])
        buckets = _cumulated(map("{:g}".format, self._edges.tolist()), total["buckets"])
        yield HistogramMetricFamily("anomaly_score", "Scores in nats.", buckets, float(total["score_sum"]))
        yield from self._channel_metrics(total)

    def exposition(self) -> bytes:
        """Return all metrics of this server as text, in the format that Prometheus reads."""
        registry = CollectorRegistry()
        registry.register(self)
        # The default registry describes this process alone.
        return (b"" if self._counts.shared else generate_latest(REGISTRY)) + generate_latest(registry)

    def _channel_metrics(self, total: dict[str, Float64Array]) -> Iterator[Metric]:
        drift = GaugeMetricFamily(
            "anomaly_input_drift",
            f"Mean of the last rows (about {DRIFT_ROWS}) less that of the training data, in its standard deviations.",
            labels=["channel"],
        )
        if total["drift_rows"]:
            shifts = (total["drift_sums"] / total["drift_rows"] - self._means) / self._stds
            for channel, shift in zip(self._channels, shifts.tolist(), strict=True):
                drift.add_metric([channel], shift)
        yield drift
        text = f"Values outside the quantiles {_LOW} and {_HIGH} of the training data."
        yield self._per_channel("anomaly_input_outside", text, total["outside"])

    def _per_channel(self, name: str, text: str, counts: Float64Array) -> CounterMetricFamily:
        counter = CounterMetricFamily(name, text, labels=["channel"])
        for channel, count in zip(self._channels, counts.tolist(), strict=True):
            counter.add_metric([channel], count)
        return counter


class Counts:
    """Numbers of this process: in memory, or in a file of the folder that the worker processes share.

    Args:
        channels: Number of channels.
        folder: The shared folder, or "" for memory.
    """

    def __init__(self, channels: int, folder: str) -> None:
        shapes: dict[str, tuple[int, ...]] = {
            "rows": (),
            "alarms": (),
            "payload_rows": (),
            "payload_dropped_rows": (),
            "score_sum": (),
            "buckets": (len(_SCORE_EDGES) + 1,),
            "drift_rows": (),
            "drift_sums": (channels,),
            "outside": (channels,),
            "imputed": (channels,),
            "dead": (channels,),
            "requests": (len(PROTOCOLS), _STATUSES),
            "durations": (len(PROTOCOLS), len(_SECONDS) + 1),
            "seconds": (len(PROTOCOLS),),
        }
        self._type = np.dtype([(name, np.float64, shape) for name, shape in shapes.items()])
        self._folder = Path(folder)
        self.shared = bool(folder)
        numbers: npt.NDArray[Any] = np.zeros(1, self._type)
        if self.shared:
            numbers = np.memmap(self._folder / f"counts-{os.getpid()}", self._type, "w+", shape=(1,))
        self.own: dict[str, Float64Array] = {name: numbers[name] for name in shapes}  # each of shape [1, ...]

    def total(self) -> dict[str, Float64Array]:
        """Return the sums over all processes."""
        if not self.shared:
            return {name: numbers[0] for name, numbers in self.own.items()}
        every = np.concatenate([np.fromfile(file, self._type) for file in self._folder.glob("counts-*")])
        return {name: every[name].sum(axis=0) for name in self.own}


def _request_metrics(total: dict[str, Float64Array]) -> Iterator[Metric]:
    requests = CounterMetricFamily("anomaly_requests", "Requests answered.", labels=["protocol", "status"])
    for row, status in np.argwhere(total["requests"]).tolist():
        requests.add_metric([PROTOCOLS[row], str(status)], float(total["requests"][row, status]))
    latency = HistogramMetricFamily("anomaly_request_seconds", "Time to answer a request.", labels=["protocol"])
    for protocol, counts, seconds in zip(PROTOCOLS, total["durations"], total["seconds"], strict=True):
        if counts.any():
            latency.add_metric([protocol], _cumulated(map(str, _SECONDS), counts), float(seconds))
    yield requests
    yield latency


def _cumulated(edges: Iterable[str], counts: Float64Array) -> list[tuple[str, float]]:
    """Return the upper edge and the number of values up to it for each bucket of a histogram."""
    return list(zip([*edges, "+Inf"], np.cumsum(counts).tolist(), strict=True))
