"""Prometheus metrics of a server, with several worker processes those of all of them."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.multiprocess import MultiProcessCollector

from container_component_src.arrays import Float32Array
from container_component_src.model.bundle_info import BundleInfo

# Environment variable of prometheus-client, which looks for it when it is imported; set where there are workers.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
DRIFT_ROWS = 10_000  # rows after which a row counts for 1/e in the drift
_LOW, _HIGH = "0.01", "0.99"  # quantiles of the training data that inputs are compared with
# Edges of the score histogram: 0 is the mean validation score, 1 the threshold.
_SCORE_EDGES = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 100.0)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("anomaly_requests", "Requests answered.", ["protocol", "status"])
LATENCY = Histogram("anomaly_request_seconds", "Time to answer a request.", ["protocol"], buckets=_SECONDS)


class Metrics:
    """Counts requests, and compares their rows with the training data.

    Args:
        info: Of the bundle.
        model: Name of the model.
        part: What the server is.
    """

    def __init__(self, info: BundleInfo, model: str, part: str) -> None:
        self._labels = {"model": model, "version": info.version, "part": part}
        self._channels = info.channels
        statistics = [info.channel_statistics.get(name) for name in info.channels]
        self._means = np.array([item.mean if item else math.nan for item in statistics])
        self._stds = np.array([item.std if item and item.std > 0 else math.nan for item in statistics])
        low = [item.quantiles.get(_LOW, -math.inf) if item else -math.inf for item in statistics]
        high = [item.quantiles.get(_HIGH, math.inf) if item else math.inf for item in statistics]
        self._low, self._high = np.array(low, np.float32), np.array(high, np.float32)
        threshold = info.thresholds.score
        usual = sum(info.thresholds.channel_nats) if info.thresholds.channel_nats else threshold - len(info.channels)
        self._edges = usual + np.array(_SCORE_EDGES) * max(threshold - usual, 1.0)
        self._tally = Tally(len(_SCORE_EDGES) + 1, len(info.channels))
        self._lock = Lock()  # large requests are answered in a thread of their own

    def reset(self) -> None:
        """Forget the rows counted so far: those of the warm-up."""
        self._tally.numbers[:] = 0

    def request(self, protocol: str, status: int, seconds: float) -> None:
        """Count a request."""
        REQUESTS.labels(protocol, str(status)).inc()
        LATENCY.labels(protocol).observe(seconds)

    def rows(self, scaled: Float32Array, scores: Float32Array, alarms: int) -> None:
        """Count scored rows.

        Args:
            scaled: Values as the model saw them, [rows, channels].
            scores: Nats, [rows].
            alarms: How many of them are alarms.
        """
        own = self._tally.own
        totals = (len(scores), alarms, scores.sum(dtype=np.float64))
        buckets = np.bincount(np.searchsorted(self._edges, scores), minlength=len(own.buckets))
        sums = scaled.sum(axis=0, dtype=np.float64)
        outside = ((scaled < self._low) | (scaled > self._high)).sum(axis=0)
        decay = math.exp(-len(scores) / DRIFT_ROWS)
        with self._lock:
            own.totals[:] += totals
            own.buckets += buckets
            own.drift_rows *= decay
            own.drift_rows += len(scores)
            own.drift_sums *= decay
            own.drift_sums += sums
            own.outside += outside

    def collect(self) -> Iterator[Metric]:
        """What is counted here, of all workers together."""
        counted = self._tally.all()
        yield InfoMetricFamily("anomaly_model", "What this server serves.", self._labels)
        yield CounterMetricFamily("anomaly_rows", "Rows scored.", counted.totals[0])
        if self._labels["part"] != "predictor":
            yield CounterMetricFamily("anomaly_alarms", "Rows answered as alarms.", counted.totals[1])
        counts = np.cumsum(counted.buckets).tolist()
        buckets = [(f"{edge:g}", count) for edge, count in zip([*self._edges.tolist(), math.inf], counts, strict=True)]
        buckets[-1] = ("+Inf", counts[-1])
        yield HistogramMetricFamily("anomaly_score", "Scores in nats.", buckets, counted.totals[2])
        drift = GaugeMetricFamily(
            "anomaly_input_drift",
            f"Mean of the last rows (about {DRIFT_ROWS}) less that of the training data, in its standard deviations.",
            labels=["channel"],
        )
        outside = CounterMetricFamily(
            "anomaly_input_outside",
            f"Values outside the quantiles {_LOW} and {_HIGH} of the training data.",
            labels=["channel"],
        )
        if counted.drift_rows[0]:
            shifts = (counted.drift_sums / counted.drift_rows - self._means) / self._stds
            for channel, shift in zip(self._channels, shifts.tolist(), strict=True):
                drift.add_metric([channel], shift)
        for channel, count in zip(self._channels, counted.outside.tolist(), strict=True):
            outside.add_metric([channel], count)
        yield drift
        yield outside

    def exposition(self) -> bytes:
        """All metrics of this server as text, in the format that Prometheus reads."""
        registry = CollectorRegistry()
        registry.register(self)
        if os.environ.get(SHARED_FOLDER):
            MultiProcessCollector(registry)
            return generate_latest(registry)
        return generate_latest(REGISTRY) + generate_latest(registry)


class Counts:
    """Views into one array of numbers."""

    def __init__(self, numbers: npt.NDArray[np.float64], buckets: int, channels: int) -> None:
        sizes: Sequence[int] = (3, 1, buckets, channels)
        self.totals, self.drift_rows, self.buckets, self.drift_sums, self.outside = np.split(numbers, np.cumsum(sizes))


class Tally:
    """Numbers of this process, in a file of the shared folder where there is one."""

    def __init__(self, buckets: int, channels: int) -> None:
        self._shape = (buckets, channels)
        size = 3 + 1 + buckets + 2 * channels
        folder = os.environ.get(SHARED_FOLDER)
        self._folder = Path(folder) if folder else None
        self.numbers: npt.NDArray[np.float64] = (
            np.memmap(self._folder / f"tally-{os.getpid()}.f64", np.float64, "w+", shape=(size,))
            if self._folder
            else np.zeros(size)
        )
        self.own = Counts(self.numbers, *self._shape)

    def all(self) -> Counts:
        """The sum over all processes."""
        if self._folder is None:
            return self.own
        parts = [np.fromfile(file, np.float64) for file in sorted(self._folder.glob("tally-*.f64"))]
        return Counts(np.sum(parts, axis=0), *self._shape)
