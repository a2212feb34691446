"""A replayed stream that is killed twice finds the alarms of a batch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.steps.calibration import Smoothing
from tests.helpers import RunCommand
from tests.serving.local_client import LocalClient
from tests.serving.models import make_model
from tests.serving.reference_alarms import RULE, frame, telemetry
from tests.stream.streams import assert_events_in_order, batch_alarms, last_events

PROJECT = Path(__file__).resolve().parents[2]
ROWS = 600


@contextmanager
def process(*arguments: object, output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose output goes to a file."""
    with output.open("ab") as file:
        found = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=PROJECT, stdout=file, stderr=file)
    try:
        yield found
    finally:
        found.kill()
        found.wait()


def rows_in(state: Path) -> int:
    return int(orjson.loads(state.read_bytes())["counts"].get("rows", 0)) if state.exists() else 0


@pytest.mark.slow
def test_a_replay_that_is_killed_twice_equals_a_batch(tmp_path: Path, run_command: RunCommand) -> None:
    model = make_model(tmp_path / "bundle", rule=RULE, smoothing=Smoothing.EXPONENTIAL, smoothing_window=3)
    frame(*telemetry(5, ROWS)).to_parquet(tmp_path / "telemetry.parquet")
    rows, events, state = tmp_path / "rows.ndjson", tmp_path / "events.ndjson", tmp_path / "state.json"
    rows.touch()
    options = ("--bundle", tmp_path / "bundle", "--input", rows, "--alarms", events, "--state-file", state)
    log = tmp_path / "log"
    with process("-m", "benchmarks.replay", tmp_path / "telemetry.parquet", "--speed", 200, output=rows) as replay:
        for target in (ROWS // 4, ROWS // 2):
            command = (
                "container_component_src/main.py",
                "score_stream",
                *options,
                "--follow",
                "--commit-seconds",
                0.05,
            )
            with process(*command, output=log) as stream:
                while rows_in(state) < target:
                    assert stream.poll() is None, log.read_text()
                    time.sleep(0.02)
                stream.send_signal(signal.SIGKILL)
                assert stream.wait() == -signal.SIGKILL
        assert replay.wait(120) == 0
    outcome = run_command("score_stream", *options)
    assert outcome.code == 0, outcome.stderr
    assert rows_in(state) == ROWS
    wanted = batch_alarms(LocalClient(model), rows)
    assert len(wanted) > 5
    assert last_events(events) == wanted
    assert_events_in_order(events)


@pytest.mark.slow
def test_sigterm_ends_a_stream_after_what_it_has_read(tmp_path: Path) -> None:
    import httpx

    make_model(tmp_path / "bundle", rule=RULE, smoothing=Smoothing.MEDIAN, smoothing_window=3)
    frame(*telemetry(5, 240)).to_parquet(tmp_path / "telemetry.parquet")
    (port,) = free_ports(1)
    replayed = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay", tmp_path / "telemetry.parquet"],
        cwd=PROJECT, capture_output=True, check=True,
    )  # fmt: skip
    command = (
        "container_component_src/main.py", "score_stream", "--bundle", tmp_path / "bundle", "--metrics-port", port,
        "--state-file", tmp_path / "state.json",
    )  # fmt: skip
    stream = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=PROJECT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert stream.stdin is not None
    stream.stdin.write(replayed.stdout)
    stream.stdin.flush()
    text = ""
    with httpx.Client(transport=httpx.HTTPTransport(retries=30), trust_env=False) as http:
        while "anomaly_stream_rows_total 240.0" not in text:
            assert stream.poll() is None
            text = http.get(f"http://{LOOPBACK}:{port}/metrics").text
    os.kill(stream.pid, signal.SIGTERM)
    out, err = stream.communicate(timeout=60)
    assert stream.returncode == 0, err
    assert b"stopped: 240 rows" in err
    assert {orjson.loads(line)["state"] for line in out.splitlines()} >= {"opened", "closed"}
    assert "anomaly_stream_latency_seconds_count 240.0" in text
    assert 'anomaly_stream_dropped_rows_total{reason="late"} 0.0' in text
    assert rows_in(tmp_path / "state.json") == 240
