import os
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from container_component_src.serving.server.metrics import Metrics
from tests.serving.bundles import CHANNELS, bundle_info

EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def test_latency_has_the_buckets_of_a_prometheus_histogram() -> None:
    registry = CollectorRegistry()
    labels = ["protocol"]
    reference = Histogram(
        "anomaly_request_seconds", "Time to answer a request.", labels, registry=registry, buckets=EDGES
    )
    metrics = Metrics(bundle_info(), "eclss", "combined")
    for protocol, seconds in (("v1", 0.001), ("v1", 0.0011), ("v1", 99.0), ("grpc", 1.0)):
        reference.labels(protocol).observe(seconds)
        metrics.request(protocol, 200, seconds)
    expected = [
        line for line in generate_latest(registry).decode().splitlines() if line.startswith("anomaly_request_seconds_")
    ]
    found = metrics.exposition().decode().splitlines()
    assert set(expected) - set(found) == {line for line in expected if "_created" in line}


@pytest.mark.parametrize("shared", [False, True])
def test_counts_start_at_zero_after_a_reset(shared: bool, tmp_path: Path) -> None:
    metrics = Metrics(bundle_info(), "eclss", "combined", str(tmp_path) if shared else "")
    rows = np.zeros((3, len(CHANNELS)), dtype=np.float32)
    metrics.rows(rows, rows.sum(axis=1), 2)
    metrics.reset()
    metrics.rows(rows, rows.sum(axis=1), 1)
    metrics.request("v2", 400, 0.1)
    lines = metrics.exposition().decode().splitlines()
    assert 'anomaly_requests_total{protocol="v2",status="400"} 1.0' in lines
    assert "anomaly_rows_total 3.0" in lines
    assert "anomaly_alarms_total 1.0" in lines


def test_counts_of_processes_are_added(tmp_path: Path) -> None:
    metrics = Metrics(bundle_info(), "eclss", "combined", str(tmp_path))
    metrics.request("v1", 200, 0.1)
    (own,) = tmp_path.iterdir()
    assert own.name == f"counts-{os.getpid()}"
    (tmp_path / "counts-of-another-process").write_bytes(own.read_bytes())
    assert 'anomaly_requests_total{protocol="v1",status="200"} 2.0' in metrics.exposition().decode().splitlines()
