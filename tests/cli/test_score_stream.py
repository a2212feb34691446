"""`score_stream` against a server, and with a bundle in its own process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from container_component_src.backends.local.processes import LOOPBACK, free_ports
from container_component_src.backends.local.serving import running, wait_until_ready
from container_component_src.steps.calibration import Smoothing
from container_component_src.telemetry.payload_log import expected_in, read_payload_log, values_in
from tests.helpers import Invoke, assert_refused
from tests.serving.bundles import CHANNELS, make_bundle
from tests.serving.reference_alarms import RULE, telemetry
from tests.stream.streams import last_events, line, lines

MODEL = "columbus-eclss-ad"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of a bundle and the URL of its server."""
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder, smoothing=Smoothing.EXPONENTIAL, smoothing_window=7, window_steps=3, rule=RULE)
    (port,) = free_ports(1)
    command = ("serve_predictor", "--combined", "--model-dir", str(folder), "--model-name", MODEL)
    with running({port: command}) as servers, httpx.Client(trust_env=False) as http:
        wait_until_ready(servers, MODEL, 120, http)
        yield folder, f"http://{LOOPBACK}:{port}"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.ndjson"
    file.write_bytes(b"".join(lines(*telemetry(5))))
    return file


def test_service_bundle_and_batch_find_the_same_alarms(
    served: tuple[Path, str], rows: Path, invoke: Invoke, tmp_path: Path
) -> None:
    bundle, url = served
    batch, by_service, by_bundle = (tmp_path / f"{name}.ndjson" for name in ("batch", "service", "bundle"))
    assert invoke("query_model", "--url", url, "--input", rows, "--alarms", batch).code == 0
    stream = ("score_stream", "--input", rows, "--batch-rows", 7)
    assert invoke(*stream, "--url", url, "--alarms", by_service).code == 0
    assert invoke(*stream, "--bundle", bundle, "--alarms", by_bundle).code == 0
    assert len(batch.read_text().splitlines()) > 5
    assert last_events(by_service) == last_events(by_bundle) == last_events(batch)


def test_a_row_that_the_service_refuses_is_left_out(
    served: tuple[Path, str], rows: Path, invoke: Invoke, tmp_path: Path
) -> None:
    _, url = served
    *times, last = (json.loads(text)["normalizedTime"] for text in rows.read_text().splitlines())
    assert last > times[0]
    broken = rows.read_bytes() + line(telemetry(5)[0][-1] + 5, [1e39, 1, 1])
    rows.write_bytes(broken)
    state = tmp_path / "state.json"
    outcome = invoke("score_stream", "--url", url, "--input", rows, "--alarms", tmp_path / "a", "--state-file", state)
    assert outcome.code == 0, outcome.stderr
    counts = json.loads(state.read_bytes())["counts"]
    assert (counts["rows"], counts["malformed"]) == (240, 1)


@pytest.mark.parametrize("in_process", [True, False])
def test_the_payload_log_has_each_row_once(
    in_process: bool, served: tuple[Path, str], rows: Path, invoke: Invoke, tmp_path: Path
) -> None:
    scorer = ("--bundle", served[0]) if in_process else ("--url", served[1])
    log = tmp_path / "log"
    options = ("--input", rows, "--batch-rows", 50, "--alarms", tmp_path / "alarms", "--payload-log", log)
    assert invoke("score_stream", *scorer, *options).code == 0
    table = read_payload_log(str(log), CHANNELS, by="timestamp")
    timestamps, values = telemetry(5)
    order = np.argsort(table["timestamp"].cast("int64").to_numpy())
    np.testing.assert_array_equal(table["timestamp"].cast("int64").to_numpy()[order], timestamps)
    np.testing.assert_array_equal(values_in(table, CHANNELS)[order], values.astype(np.float32))
    assert np.isfinite(expected_in(table, CHANNELS)).all()  # five channels are named, and there are three
    assert table["smoothed_score"].null_count == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "give either --url or --bundle"),
        (("--bundle", "b", "--url", "http://u"), "give either --url or --bundle"),
        (("--bundle", "b", "--alarms", ""), "the alarms would be lost"),
        (("--bundle", "b", "--follow"), "--follow needs a file"),
        (("--bundle", "b", "--at-end", "keep"), "--at-end keep needs --state-file"),
        (("--bundle", "b", "--skip-missing", "--impute-missing"), "exclude each other"),
        (("--bundle", "nowhere"), "nowhere: no model bundle"),
    ],
)
def test_options_that_do_not_fit(options: tuple[Any, ...], reason: str, invoke: Invoke) -> None:
    assert_refused(invoke("score_stream", *options), reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--input", "nowhere"), "nowhere: No such file"),
        (("--input", "http://host/topic"), "--input http://: unknown"),
        (("--input", "mqtt://host/topic", "--follow"), "a topic is always followed"),
        (("--publish", "file"), "--publish file: no topic"),
        (("--alarms", "kafka://host/topic"), "name it with --publish"),
    ],
)
def test_sources_and_sinks_that_are_none(
    options: tuple[Any, ...], reason: str, served: tuple[Path, str], invoke: Invoke
) -> None:
    assert_refused(invoke("score_stream", "--bundle", served[0], *options), reason)
